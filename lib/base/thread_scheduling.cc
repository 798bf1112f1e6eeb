#include "base/thread_scheduling.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace mutua {
namespace {

constexpr std::uint64_t kShortSlice = 100'000;  // nanoseconds, the least that the kernel grants
constexpr int kNiceness = 10;

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
}

void take_only_what_is_left() {
  const sched_param parameters{};
  [[maybe_unused]] const int done = ::sched_setscheduler(0, SCHED_IDLE, &parameters);
}

}  // namespace mutua
