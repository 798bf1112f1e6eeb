#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "peer/vm/control.h"
#include "peer/vm/machine.h"

namespace mutua::vm {

// Runs machines, each under a mutua-machine process of its own, for an engine. Thread-safe. A
// machine dies with the thread that started it, or with this object.
class MachineProgram {
 public:
  // `program` is the mutua-machine executable; `engine` its arguments after the first, the same for
  // every machine.
  MachineProgram(std::filesystem::path program, std::vector<std::string> engine)
      : program_(std::move(program)), engine_(std::move(engine)) {}

  MachineProgram(const MachineProgram&) = delete;
  MachineProgram& operator=(const MachineProgram&) = delete;
  ~MachineProgram();

  // Takes the process that stands ready, or else starts one. Never blocks.
  Result<std::unique_ptr<Machine>> start(const MachineSpec& spec);

  // From now on a process stands ready for the next machine: it has done all that needs no spec,
  // which is most of what a start costs. Once taken, it is replaced kRefillPause later, when the
  // machine that took it has its processors no more to itself.
  void keep_one_ready();
  static constexpr std::chrono::milliseconds kRefillPause{200};

 private:
  // A mutua-machine that has not been told yet which machine it is; its end comes with this one's.
  class Process {
   public:
    Process(pid_t pid, Channel channel) : pid_(pid), channel_(std::move(channel)) {}
    Process(Process&& other) noexcept
        : pid_(std::exchange(other.pid_, -1)), channel_(std::move(other.channel_)) {}
    Process& operator=(Process&&) = delete;
    ~Process();

    // It says nothing before it is spoken to, except that it failed.
    bool waits() const;
    Result<std::unique_ptr<Machine>> become(const MachineSpec& spec) &&;

   private:
    pid_t pid_;
    Channel channel_;
  };

  Result<Process> spawn() const;
  void refill(const std::stop_token& stop);

  const std::filesystem::path program_;
  const std::vector<std::string> engine_;
  std::mutex mutex_;
  std::condition_variable_any taken_;
  // Guarded by mutex_.
  std::optional<Process> ready_;
  std::chrono::steady_clock::time_point next_refill_;
  // The processes that it starts would die with it, so it lives as long as they may.
  std::jthread refiller_;
};

}  // namespace mutua::vm
