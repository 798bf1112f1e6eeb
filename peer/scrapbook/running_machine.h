#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "peer/vm/machine.h"

namespace mutua::peer {

// A machine of the owner's on a thread of its own, which it needs (vm::Machine). Thread-safe.
class RunningMachine {
 public:
  // Returns once the machine runs, or with the reason why it does not.
  static Result<std::unique_ptr<RunningMachine>> start(vm::Engine& engine, vm::MachineSpec spec);
  // Kills it where it still runs.
  ~RunningMachine();

  struct Status {
    bool runs = false;
    bool is_frozen = false;
    pid_t pid = -1;
    std::vector<vm::BoundPort> ports;         // without the agent's
    std::optional<std::uint16_t> agent_port;  // of 127.0.0.1
    std::string agent;                        // what it wants to hear; see vm::MachineSpec
    std::optional<vm::Exit> exit;
  };
  Status status() const;

  // Each waits for its outcome; one at a time.
  Result<vm::SnapshotReport> take(const vm::SnapshotRequest& request);
  Result<void> freeze();
  Result<void> go_on();
  // Asks the guest to shut down, kills it after `grace`.
  Result<void> stop(std::chrono::milliseconds grace);

 private:
  using Job = std::function<void(vm::Machine&)>;

  explicit RunningMachine(vm::Engine& engine);
  void run(std::stop_token stop, const vm::MachineSpec& spec, std::promise<Result<void>>& started);
  void note(const vm::Machine& machine);
  // Runs on the machine's thread; an error where the machine has ended.
  Result<void> perform(Job job);

  vm::Engine& engine_;
  UniqueFd wake_;
  mutable std::mutex mutex_;
  Status status_;
  std::optional<std::packaged_task<void(vm::Machine&)>> job_;
  std::mutex one_job_;
  std::jthread thread_;  // last: it uses everything above
};

}  // namespace mutua::peer
