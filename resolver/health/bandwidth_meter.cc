#include "resolver/health/bandwidth_meter.h"

#include <algorithm>

namespace mutua::resolver {
namespace {

constexpr std::chrono::milliseconds kShortestWindow{100};
constexpr std::chrono::milliseconds kShortestSample{5};
constexpr std::uint64_t kSmallestSample = 32 * 1024;

double rate(std::uint64_t octets, std::chrono::nanoseconds time) {
  return static_cast<double>(octets) / std::chrono::duration<double>(time).count();
}

}  // namespace

BandwidthMeter::BandwidthMeter(std::chrono::microseconds rtt)
    : window_(std::max<std::chrono::nanoseconds>(4 * rtt, kShortestWindow)) {}

void BandwidthMeter::received(std::uint64_t octets, SteadyTime now) {
  total_ += octets;
  const bool paused = now - latest_ > window_;
  if (octets_ == 0 || paused) {
    best_unfilled_ = std::max(best_unfilled_, unfilled());
    // The first octets came in no time that we know, so they only open the window.
    opened_ = latest_ = now;
    octets_ = 1;
    return;
  }
  octets_ += octets;
  latest_ = now;
  if (now - opened_ >= window_) {
    best_ = std::max(best_, rate(octets_, now - opened_));
    opened_ = now;
    octets_ = 1;
  }
}

std::optional<double> BandwidthMeter::best() const {
  if (best_ > 0) return best_;
  return std::max(best_unfilled_, unfilled());
}

std::optional<double> BandwidthMeter::unfilled() const {
  const auto time = latest_ - opened_;
  if (octets_ >= kSmallestSample && time >= kShortestSample) return rate(octets_, time);
  return std::nullopt;
}

}  // namespace mutua::resolver
