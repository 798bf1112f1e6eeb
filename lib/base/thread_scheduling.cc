#include "base/thread_scheduling.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace mutua {
namespace {

constexpr std::uint64_t kShortSlice = 100'000;  // nanoseconds, the least that the kernel grants
constexpr int kNiceness = 10;

using Clock = std::chrono::steady_clock;
// What somebody who waits hardly feels, and many times what it costs to ask the scheduler.
constexpr std::chrono::microseconds kStep(10);

thread_local bool has_stepped_back = false;
thread_local Clock::time_point next_way{};

// struct sched_attr, which Debian's C library does not declare; sched_setattr(2), its first
// version.
struct Attributes {
  std::uint32_t size;
  std::uint32_t policy;
  std::uint64_t flags;
  std::int32_t nice;
  std::uint32_t priority;
  std::uint64_t runtime, deadline, period;
};
static_assert(sizeof(Attributes) == 48);

}  // namespace

void ask_for_short_slices() {
  Attributes attributes{};
  if (::syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return;
  if (attributes.policy != SCHED_OTHER) return;  // whoever set another one meant it
  attributes.runtime = kShortSlice;
  [[maybe_unused]] const auto done = ::syscall(SYS_sched_setattr, 0, &attributes, 0);
}

// On Linux the niceness is a thread's own.
void step_back() {
  const auto thread = static_cast<id_t>(::syscall(SYS_gettid));
  [[maybe_unused]] const int done = ::setpriority(PRIO_PROCESS, thread, kNiceness);
  has_stepped_back = true;
}

void give_way() {
  if (!has_stepped_back) return;
  const auto begin = Clock::now();
  if (begin < next_way) return;
  ::sched_yield();
  const auto end = Clock::now();
  next_way = end + std::max<Clock::duration>(kStep, (end - begin) / 4);
}

void take_only_what_is_left() {
  const sched_param parameters{};
  [[maybe_unused]] const int done = ::sched_setscheduler(0, SCHED_IDLE, &parameters);
}

}  // namespace mutua
