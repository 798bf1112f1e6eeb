#pragma once

#include <sched.h>
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

namespace mutua::vm {

// The processors of the host, and the one that a machine is on.
//
// A guest's kernel that is a process, and the guest's own processes, run in turns: every system
// call and page fault of the guest hands over from one to the other and back. The host's scheduler
// wakes the next one on a processor that idles, which takes several times as long as on the
// same processor. So such a machine stays on one, and leaves it only for a better one.

// Since the host's start, in clock ticks.
struct ProcessorTime {
  std::uint64_t idle = 0;
  std::uint64_t all = 0;
};
// By the processor's number. Empty where the host does not tell.
std::vector<ProcessorTime> read_processor_times();

// For the process that shall stay where it is, with all that it starts from now on.
void stay_on_this_processor();

// Where a machine on `own` goes that had to wait for it for `waited`, a share of the time between
// `before` and `after`: to the processor that idled most, if it did so for half of the time. Only
// `allowed` ones. Empty: it stays.
std::optional<int> better_processor(int own, double waited,
                                    const std::vector<ProcessorTime>& before,
                                    const std::vector<ProcessorTime>& after,
                                    const cpu_set_t& allowed);

// Puts a process, and all below it, on one processor. What ends meanwhile is left out.
void move_tree(pid_t root, int processor);

// Watches over a running machine.
class ProcessorWatch {
 public:
  using Clock = std::chrono::steady_clock;

  // The keeper's child is the guest's kernel, which stays on a processor already.
  explicit ProcessorWatch(pid_t keeper);

  Clock::time_point next_look() const { return next_look_; }
  // Moves the machine where it has a better place. Does nothing before next_look().
  void look(Clock::time_point now);

 private:
  struct Sample {
    Clock::time_point at;
    std::chrono::nanoseconds waited{0};  // of the program, since its start
    std::vector<ProcessorTime> times;
  };
  Sample sample(Clock::time_point now) const;

  pid_t program_;  // the guest's kernel
  cpu_set_t allowed_;
  Sample last_;
  Clock::time_point next_look_;
};

}  // namespace mutua::vm
