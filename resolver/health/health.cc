#include "resolver/health/health.h"

#include <algorithm>

namespace mutua::resolver {
namespace {

constexpr std::chrono::milliseconds kFirstHold{1000};
constexpr std::chrono::milliseconds kLongestHold{300'000};
constexpr double kBandwidthGain = 0.3;  // of one connection's best window

}  // namespace

Health after_attempt(Health health, SteadyTime now) {
  ++health.visits;
  health.used_at = now;
  return health;
}

Health after_rtt(Health health, std::chrono::microseconds rtt, SteadyTime now) {
  rtt = std::max(rtt, std::chrono::microseconds(1));
  if (!health.smoothed_rtt) {
    health.smoothed_rtt = rtt;
  } else {
    const auto old = *health.smoothed_rtt;
    const bool changed = rtt > 2 * old || 2 * rtt < old;
    health.smoothed_rtt = changed ? (old + rtt) / 2 : (7 * old + rtt) / 8;
  }
  health.measured_at = now;
  return health;
}

Health after_transfer(Health health, double octets_per_second, SteadyTime now) {
  health.bandwidth = health.bandwidth ? (1 - kBandwidthGain) * *health.bandwidth +
                                            kBandwidthGain * octets_per_second
                                      : octets_per_second;
  health.measured_at = now;
  return health;
}

Health after_success(Health health, SteadyTime now) {
  health.consecutive_failures = 0;
  health.held_until = {};
  health.last_failure.clear();
  health.used_at = now;
  return health;
}

Health after_failure(Health health, std::string reason, SteadyTime now) {
  constexpr unsigned most_doublings = 9;
  const unsigned doublings = std::min(health.consecutive_failures, most_doublings);
  ++health.consecutive_failures;
  health.held_until = now + std::min(kFirstHold * (1 << doublings), kLongestHold);
  health.last_failure = std::move(reason);
  health.used_at = now;
  return health;
}

}  // namespace mutua::resolver
