#pragma once

#include <chrono>
#include <string>

namespace mutua {

using WallTime = std::chrono::sys_seconds;
using SteadyTime = std::chrono::steady_clock::time_point;

// What the time is, by both clocks.
struct Moment {
  WallTime wall;
  SteadyTime steady;
};

// The time of day and the time that never goes back. Injected, so that tests own time.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime wall_now() const = 0;
  virtual SteadyTime steady_now() const = 0;
};

// "2026-01-31T12:00:00Z".
std::string rfc3339(WallTime time);

// The machine's clocks. Thread-safe.
const Clock& system_clock();

// The same, but the steady one goes on while the machine sleeps (CLOCK_BOOTTIME): for what grows
// old meanwhile. Its times are not to be compared with those of std::chrono::steady_clock.
const Clock& boot_clock();

}  // namespace mutua
