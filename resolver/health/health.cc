#include "resolver/health/health.h"

#include <algorithm>

namespace mutua::resolver {
namespace {

constexpr std::chrono::milliseconds kFirstHold{1000};
constexpr std::chrono::milliseconds kLongestHold{300'000};
constexpr std::chrono::milliseconds kSuspicion{500};
constexpr std::chrono::milliseconds kOverdueUnmeasured{5}, kLongestOverdue{1000};
constexpr std::chrono::milliseconds kShortestDetour{2}, kLongestDetour{5};
constexpr double kBandwidthGain = 0.5;  // of the best window of a connection that carried
constexpr double kLongFlow = 300'000;   // so many octets; of shorter ones in proportion
constexpr double kPathGain = 0.4;       // at least, where the path was the limit
constexpr double kPathLimited = 0.7;    // of what slow start alone would have let through
constexpr double kOtherPath = 1.7;

// Octets a second of a connection that nothing but slow start holds back (RFC 6928).
double slow_start_rate(double octets, std::chrono::microseconds rtt) {
  constexpr double initial_window = 10 * 1460;
  double window = initial_window, sent = 0;
  int rounds = 0;
  for (; sent < octets; ++rounds, window *= 2) sent += window;
  return octets / (std::max(rounds, 1) * std::chrono::duration<double>(rtt).count());
}

}  // namespace

Health after_attempt(Health health, SteadyTime now) {
  ++health.visits;
  health.used_at = now;
  return health;
}

std::chrono::milliseconds overdue_after(std::optional<std::chrono::microseconds> rtt,
                                        std::chrono::microseconds detour) {
  if (!rtt) return kOverdueUnmeasured;
  detour = std::clamp<std::chrono::microseconds>(detour, kShortestDetour, kLongestDetour);
  return std::min(std::chrono::ceil<std::chrono::milliseconds>(2 * *rtt + detour), kLongestOverdue);
}

std::chrono::milliseconds late_after(std::chrono::microseconds rtt,
                                     std::chrono::microseconds detour) {
  detour = std::clamp<std::chrono::microseconds>(detour, kShortestDetour, kLongestOverdue);
  return std::chrono::ceil<std::chrono::milliseconds>(2 * rtt + detour);
}

Health after_overdue(Health health, SteadyTime now) {
  health.suspected_until = now + kSuspicion;
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
  health.suspected_until = {};
  return health;
}

Health after_transfer(Health health, double octets_per_second, std::uint64_t octets,
                      SteadyTime now) {
  const double known = health.bandwidth.value_or(octets_per_second);
  const double length = std::min(1.0, static_cast<double>(octets) / kLongFlow);
  double gain = kBandwidthGain * length;
  if (health.smoothed_rtt) {
    const double unlimited = slow_start_rate(static_cast<double>(octets), *health.smoothed_rtt);
    if (octets_per_second < kPathLimited * unlimited) {
      gain = std::max(gain, kPathGain);
    } else if (length < 1 && octets_per_second < known) {
      gain = 0;
    }
  }
  health.bandwidth = (1 - gain) * known + gain * octets_per_second;
  health.measured_at = now;
  return health;
}

Health after_probe(Health health, std::chrono::microseconds rtt, SteadyTime now) {
  health.probed_at = now;
  if (!health.smoothed_rtt) return health;
  const double known = static_cast<double>(health.smoothed_rtt->count());
  const double change = static_cast<double>(rtt.count()) / known;
  if (change > kOtherPath || change < 1 / kOtherPath) {
    health.smoothed_rtt.reset();
    health.bandwidth.reset();
    return health;
  }
  health.smoothed_rtt = (7 * *health.smoothed_rtt + 3 * rtt) / 10;
  return health;
}

Health after_success(Health health, SteadyTime now) {
  health.consecutive_failures = 0;
  health.held_until = health.suspected_until = {};
  health.last_failure.clear();
  health.used_at = now;
  return health;
}

Health after_failure(Health health, std::string reason, SteadyTime now) {
  if (now < health.held_until) return health;
  constexpr unsigned most_doublings = 9;
  const unsigned doublings = std::min(health.consecutive_failures, most_doublings);
  ++health.consecutive_failures;
  health.held_until = now + std::min(kFirstHold * (1 << doublings), kLongestHold);
  health.last_failure = std::move(reason);
  health.used_at = now;
  return health;
}

}  // namespace mutua::resolver
