#include "resolver/choice/choice.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace mutua::resolver {
namespace {

constexpr double kInitialWindow = 10 * 1460;
constexpr double kNearlyEqual = 1.10;

struct Judged {
  Ranked ranked;
  std::uint16_t priority = 0, weight = 0;
  std::uint64_t visits = 0;
  double lot = 0;  // the smaller, the earlier
  SteadyTime held_until{};
};

// splitmix64: well mixed from any seed, and the same on every machine.
std::uint64_t mix(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15u;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

// Exponential lots order like RFC 2782's draws without replacement: the chance to be first is
// proportional to the weight. Weight 0 has a very small chance, as the RFC asks.
double draw_lot(std::uint16_t weight, std::uint64_t seed, std::size_t index) {
  const double uniform = (static_cast<double>(mix(seed ^ mix(index)) >> 11) + 0.5) * 0x1.0p-53;
  return -std::log(uniform) / (weight == 0 ? 1e-3 : weight);
}

bool is_measured(const Health& health, const Policy& policy, SteadyTime now) {
  return health.smoothed_rtt.has_value() && now - health.measured_at < policy.revisit_after;
}

// A peer of unknown bandwidth is credited with the best that is known: hope makes it be tried.
double hoped_bandwidth(const std::vector<Health>& health, const Policy& policy) {
  double best = policy.assumed_bandwidth;
  for (const Health& one : health) best = std::max(best, one.bandwidth.value_or(0));
  return best;
}

bool goes_before(const Judged& a, const Judged& b) {
  const bool a_held = a.ranked.standing == Standing::held;
  const bool b_held = b.ranked.standing == Standing::held;
  if (a_held != b_held) return b_held;
  if (a_held && a.held_until != b.held_until) return a.held_until < b.held_until;
  if (a.priority != b.priority) return a.priority < b.priority;
  if (a.ranked.standing != b.ranked.standing) return a.ranked.standing < b.ranked.standing;
  if (a.ranked.standing == Standing::measured && a.ranked.predicted != b.ranked.predicted) {
    return a.ranked.predicted < b.ranked.predicted;
  }
  if (a.visits != b.visits && a.ranked.standing == Standing::unvisited) return a.visits < b.visits;
  return a.lot < b.lot;
}

// Within each priority the measured peers close to the best go by weight.
void let_weight_decide_near_ties(std::vector<Judged>& order) {
  for (auto first = order.begin(); first != order.end();) {
    const auto same_group = [&](const Judged& one) {
      return one.priority == first->priority && one.ranked.standing == Standing::measured;
    };
    if (!same_group(*first)) {
      ++first;
      continue;
    }
    const double limit = static_cast<double>(first->ranked.predicted->count()) * kNearlyEqual;
    const auto last = std::find_if(first, order.end(), [&](const Judged& one) {
      return !same_group(one) || static_cast<double>(one.ranked.predicted->count()) > limit;
    });
    std::stable_sort(first, last,
                     [](const Judged& a, const Judged& b) { return a.weight > b.weight; });
    first = std::find_if_not(last, order.end(), same_group);
  }
}

bool draws(double share, std::uint64_t seed) {
  return static_cast<double>(mix(~seed) >> 11) * 0x1.0p-53 < share;
}

void let_another_be_tried(std::vector<Judged>& order, const std::vector<Health>& health) {
  if (order.empty() || order.front().ranked.standing != Standing::measured) return;
  const auto limit = 2 * *order.front().ranked.predicted;
  auto chosen = order.begin();
  for (auto one = order.begin() + 1; one != order.end(); ++one) {
    if (one->priority != order.front().priority || one->ranked.standing != Standing::measured)
      continue;
    if (2 * *health[one->ranked.index].smoothed_rtt > limit) continue;
    if (chosen == order.begin() ||
        health[one->ranked.index].measured_at < health[chosen->ranked.index].measured_at)
      chosen = one;
  }
  std::rotate(order.begin(), chosen, chosen + 1);
}

}  // namespace

std::optional<std::size_t> stalest(const std::vector<Health>& health, SteadyTime now) {
  std::optional<std::size_t> found;
  const auto known_at = [&](std::size_t i) {
    return std::max(health[i].measured_at, health[i].probed_at);
  };
  for (std::size_t i = 0; i < health.size(); ++i) {
    if (!health[i].smoothed_rtt || health[i].is_held(now)) continue;
    if (!found || known_at(i) < known_at(*found)) found = i;
  }
  return found;
}

std::chrono::microseconds predicted_time(std::chrono::microseconds rtt, double bandwidth,
                                         double octets) {
  const double round_trip = std::chrono::duration<double>(rtt).count();
  const double path = bandwidth * round_trip;  // octets that fill the path
  unsigned rounds = 1;
  double sent = 0;
  for (double window = kInitialWindow; window < path && sent + window < octets && rounds < 40;
       window *= 2) {
    sent += window;
    ++rounds;
  }
  const double seconds = round_trip * (1 + rounds) + octets / bandwidth;
  return std::chrono::microseconds(static_cast<std::int64_t>(std::min(seconds, 1e6) * 1e6));
}

std::vector<Ranked> rank(const std::vector<Candidate>& candidates,
                         const std::vector<Health>& health, const Policy& policy,
                         std::uint64_t seed, SteadyTime now) {
  BASE_ASSERT(candidates.size() == health.size());
  const double hoped = hoped_bandwidth(health, policy);
  std::vector<Judged> order;
  order.reserve(candidates.size());
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    Judged judged{Ranked{i, Standing::unvisited, std::nullopt},
                  candidates[i].priority,
                  candidates[i].weight,
                  health[i].visits,
                  draw_lot(candidates[i].weight, seed, i),
                  health[i].avoided_until()};
    if (health[i].is_held(now)) {
      judged.ranked.standing = Standing::held;
    } else if (is_measured(health[i], policy, now)) {
      judged.ranked.standing = Standing::measured;
      judged.ranked.predicted = predicted_time(
          *health[i].smoothed_rtt, health[i].bandwidth.value_or(hoped), policy.typical_octets);
    }
    order.push_back(judged);
  }
  std::sort(order.begin(), order.end(), goes_before);
  let_weight_decide_near_ties(order);
  if (draws(policy.explore, seed)) let_another_be_tried(order, health);
  std::vector<Ranked> result;
  result.reserve(order.size());
  for (const Judged& judged : order) result.push_back(judged.ranked);
  return result;
}

std::string explain(const Ranked& ranked, const Health& health, const Policy& policy,
                    SteadyTime now) {
  char text[256];
  const auto milliseconds = [](auto duration) {
    return std::chrono::duration<double, std::milli>(duration).count();
  };
  if (ranked.standing == Standing::held && now >= health.held_until) {
    std::snprintf(text, sizeof text, "avoided, for its answer to a connection is overdue");
  } else if (ranked.standing == Standing::held) {
    std::snprintf(text, sizeof text,
                  "held down for %.1f s more after %u failure(s) in a row: %.100s",
                  milliseconds(health.held_until - now) / 1000, health.consecutive_failures,
                  health.last_failure.c_str());
  } else if (ranked.standing == Standing::unvisited) {
    std::snprintf(text, sizeof text, "%s",
                  health.visits == 0    ? "not visited yet"
                  : health.smoothed_rtt ? "its measurement is old, so it is visited again"
                                        : "visited, but not measured yet");
  } else if (health.bandwidth) {
    std::snprintf(text, sizeof text, "predicted %.1f ms for %.0f kB (rtt %.2f ms, %.2f MB/s)",
                  milliseconds(*ranked.predicted), policy.typical_octets / 1000,
                  milliseconds(*health.smoothed_rtt), *health.bandwidth / 1e6);
  } else {
    std::snprintf(text, sizeof text,
                  "predicted %.1f ms for %.0f kB (rtt %.2f ms, bandwidth not known yet)",
                  milliseconds(*ranked.predicted), policy.typical_octets / 1000,
                  milliseconds(*health.smoothed_rtt));
  }
  return text;
}

}  // namespace mutua::resolver
