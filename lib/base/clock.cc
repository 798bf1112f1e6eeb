#include "base/clock.h"

#include <ctime>

namespace mutua {
namespace {

class SystemClock final : public Clock {
 public:
  WallTime wall_now() const override {
    return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  }
  SteadyTime steady_now() const override { return std::chrono::steady_clock::now(); }
};

class BootClock final : public Clock {
 public:
  WallTime wall_now() const override { return system_clock().wall_now(); }
  SteadyTime steady_now() const override {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return SteadyTime(std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
  }
};

}  // namespace

std::string rfc3339(WallTime time) {
  const std::time_t seconds = time.time_since_epoch().count();
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

const Clock& boot_clock() {
  static const BootClock clock;
  return clock;
}

}  // namespace mutua
