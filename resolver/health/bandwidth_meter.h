#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace mutua::resolver {

// Measures what one connection receives, in windows of max(4 RTT, 100 ms), and keeps the largest.
// A window opens with the first octets after a pause, so that idle time is not counted, and closes
// with the first octets that arrive when its length is over. The kernel's tcpi_delivery_rate speaks
// of what we send and says nothing about downloads. A value; time is the caller's.
class BandwidthMeter {
 public:
  explicit BandwidthMeter(std::chrono::microseconds rtt);

  void received(std::uint64_t octets, SteadyTime now);

  // Octets a second of the best window. A connection that never filled one, since it ended or
  // paused before, is judged by the best of what it began, if that was at least 32 KiB in at least
  // 5 ms; otherwise it says nothing.
  std::optional<double> best() const;
  std::uint64_t total() const { return total_; }

 private:
  std::optional<double> unfilled() const;

  std::chrono::nanoseconds window_;
  SteadyTime opened_{}, latest_{};
  std::uint64_t octets_ = 0, total_ = 0;
  double best_ = 0;
  std::optional<double> best_unfilled_;
};

}  // namespace mutua::resolver
