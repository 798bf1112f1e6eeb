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

// Users shall not be the ones who find out whether a peer that failed is back.
bool is_doubted(const Health& health, const Policy& policy, SteadyTime now) {
  return health.consecutive_failures > 0 && !health.is_held(now) &&
         health.probed_at < health.held_until && now - health.held_until < policy.revisit_after;
}

// A peer of unknown bandwidth is credited with the best that is known: hope makes it be tried.
double hoped_bandwidth(const std::vector<Health>& health, const Policy& policy) {
  double best = policy.assumed_bandwidth;
  for (const Health& one : health) best = std::max(best, one.bandwidth.value_or(0));
  return best;
}

bool failed(const Judged& judged) {
  return judged.ranked.standing == Standing::doubted || judged.ranked.standing == Standing::held;
}

bool goes_before(const Judged& a, const Judged& b) {
  if (failed(a) != failed(b)) return failed(b);
  // Which puts doubted ones before held ones.
  if (failed(a) && a.held_until != b.held_until) return a.held_until < b.held_until;
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

const char* to_string(Standing standing) {
  switch (standing) {
    case Standing::unvisited:
      return "unvisited";
    case Standing::measured:
      return "measured";
    case Standing::doubted:
      return "doubted";
    case Standing::held:
      return "held";
  }
  return "?";
}

std::vector<std::size_t> doubted(const std::vector<Health>& health, const Policy& policy,
                                 SteadyTime now) {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < health.size(); ++i) {
    if (is_doubted(health[i], policy, now)) found.push_back(i);
  }
  return found;
}

std::optional<std::size_t> stalest(const std::vector<Health>& health, const Policy& policy,
                                   SteadyTime now) {
  std::optional<std::size_t> found;
  const auto known_at = [&](std::size_t i) {
    return std::max(health[i].measured_at, health[i].probed_at);
  };
  for (std::size_t i = 0; i < health.size(); ++i) {
    const Health& one = health[i];
    if (!one.smoothed_rtt || one.is_held(now) || is_doubted(one, policy, now)) continue;
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

std::chrono::microseconds detour(const Health& peer, const Health& next, const Policy& policy) {
  if (!peer.smoothed_rtt || !next.smoothed_rtt) return std::chrono::microseconds::max();
  const auto predicted = [&](const Health& health) {
    return predicted_time(*health.smoothed_rtt, health.bandwidth.value_or(policy.assumed_bandwidth),
                          policy.typical_octets);
  };
  return predicted(next) - predicted(peer);
}

namespace {

// What the health of all candidates says of each.
class Judge {
 public:
  Judge(const std::vector<Health>& health, const Policy& policy, SteadyTime now)
      : policy_(policy), now_(now), hoped_bandwidth_(hoped_bandwidth(health, policy)) {
    for (const Health& one : health) {
      if (one.is_held(now) || is_doubted(one, policy, now) || !one.smoothed_rtt) continue;
      best_ = std::min(best_, predicted(one));
    }
  }

  void judge(const Health& health, Ranked& ranked) const {
    if (health.is_held(now_)) {
      ranked.standing = Standing::held;
    } else if (is_doubted(health, policy_, now_)) {
      ranked.standing = Standing::doubted;
    } else if (health.smoothed_rtt && (is_fresh(health) || !may_be_best(health))) {
      ranked.standing = Standing::measured;
      ranked.predicted = predicted(health);
    } else {
      ranked.standing = Standing::unvisited;
    }
  }

 private:
  bool is_fresh(const Health& health) const {
    return now_ - health.measured_at < policy_.revisit_after;
  }
  bool may_be_best(const Health& health) const {
    return predicted_time(*health.smoothed_rtt, hoped_bandwidth_, policy_.typical_octets) <= best_;
  }
  std::chrono::microseconds predicted(const Health& health) const {
    return predicted_time(*health.smoothed_rtt, health.bandwidth.value_or(hoped_bandwidth_),
                          policy_.typical_octets);
  }

  const Policy& policy_;
  const SteadyTime now_;
  const double hoped_bandwidth_;
  std::chrono::microseconds best_ = std::chrono::microseconds::max();
};

}  // namespace

std::vector<Ranked> rank(const std::vector<Candidate>& candidates,
                         const std::vector<Health>& health, const Policy& policy,
                         std::uint64_t seed, SteadyTime now) {
  BASE_ASSERT(candidates.size() == health.size());
  const Judge judge(health, policy, now);
  std::vector<Judged> order;
  order.reserve(candidates.size());
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    Judged judged{Ranked{i, Standing::unvisited, std::nullopt},
                  candidates[i].priority,
                  candidates[i].weight,
                  health[i].visits,
                  draw_lot(candidates[i].weight, seed, i),
                  health[i].avoided_until()};
    judge.judge(health[i], judged.ranked);
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
  } else if (ranked.standing == Standing::doubted) {
    std::snprintf(text, sizeof text,
                  "failed %u time(s) in a row, and no probe has reached it since: %.100s",
                  health.consecutive_failures, health.last_failure.c_str());
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
