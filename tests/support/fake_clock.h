#pragma once

#include <atomic>
#include <chrono>

#include "base/clock.h"

namespace mutua {

// A clock that stands until a test moves it; both times move together, unless the wall clock jumps.
// Thread-safe.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(std::int64_t seconds_since_1970 = 1'800'000'000)
      : start_(seconds_since_1970) {}

  WallTime wall_now() const override {
    return WallTime(std::chrono::seconds(start_.load()) +
                    std::chrono::duration_cast<std::chrono::seconds>(passed()));
  }
  SteadyTime steady_now() const override { return SteadyTime(passed()); }

  void jump(std::chrono::seconds by) { start_.fetch_add(by.count()); }
  void advance(std::chrono::milliseconds by) { passed_.fetch_add(by.count()); }

 private:
  std::chrono::milliseconds passed() const { return std::chrono::milliseconds(passed_.load()); }

  std::atomic<std::int64_t> start_;
  std::atomic<std::int64_t> passed_{0};
};

}  // namespace mutua
