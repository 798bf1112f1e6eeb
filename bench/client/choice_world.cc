// One client and its peers, simulated, with resolver/choice at the client's wheel: how much longer
// its flows take than with an oracle who knows every path. The worlds of
// shared/bench/client/policy/sim.py:
//
//   paths   round trips of 5 to 200 ms, 1 to 300 Mbit/s, both log-uniform; each flow sees its own noise
//   flows   lognormal sizes, 60 kB in the median, of 50 MB at most
//   events  after a third of the flows the best path loses nine tenths of its bandwidth; after a half
//           the worst becomes the best; after two thirds the best peer dies
//
// The oracle knows each flow's size beforehand. The client knows it where it is told, as sim.py's
// policies are; as the resolver works today it is not, and goes by the policy's typical size. How much
// of the loss is due to that alone, a clairvoyant shows who knows every path, but no size. What the
// first visits add, which the paper's rule wants of everybody, is told apart.
//
// A still world is one that real namespaces can be made after: no noise, no events, flows of 1 MB at
// most.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>

#include "bench/client/bench_client.h"
#include "resolver/choice/choice.h"
#include "resolver/health/bandwidth_meter.h"

namespace mutua::bench {
namespace {

using namespace std::chrono_literals;
using resolver::Candidate;
using resolver::Health;

constexpr std::size_t kFlows = 3000, kDraws = 200;
constexpr double kLargest = 5e7, kLargestOfStillWorld = 1e6;
constexpr double kSegment = 1460;
constexpr double kConnectStall = 0.6;             // seconds that a dead peer costs
constexpr std::chrono::milliseconds kPause{250};  // between flows
constexpr std::size_t kTurnEvery = 4;             // flows, as a second has: the prober's turn
constexpr std::size_t kProbeEvery = 8;            // flows

struct Path {
  double rtt, bandwidth;  // seconds, octets a second
  bool alive = true;
};

// From the connect() to the last octet, with slow start.
double flow_time(double rtt, double bandwidth, double octets) {
  double time = rtt, window = 10 * kSegment, left = octets;
  while (left > 0 && window < bandwidth * rtt) {
    time += rtt * (left > window ? 1 : left / window + 1);
    left -= window;
    window *= 2;
  }
  const bool one_round = time == rtt;
  return time + std::max(left, 0.0) / bandwidth + (one_round ? rtt : 0);
}

enum class Sizes { told, untold, clairvoyant };

class World {
 public:
  World(std::size_t peers, std::uint64_t seed) : random_(seed) {
    for (std::size_t i = 0; i < peers; ++i) {
      paths_.push_back({std::exp(uniform(std::log(0.005), std::log(0.2))),
                        std::exp(uniform(std::log(1e6 / 8), std::log(300e6 / 8)))});
      const std::uint8_t octets[] = {192, 0, 2, static_cast<std::uint8_t>(i + 1)};
      candidates_.push_back({SocketAddress::from_octets(octets, 80).value(), 0, 0, ""});
    }
    health_.resize(peers);
  }

  // The mean over the flows of time / oracle's time.
  double run(resolver::Policy policy, Sizes sizes) {
    double sum = 0;
    for (std::size_t flow = 0; flow < kFlows; ++flow) {
      change_paths(flow);
      const double size = draw_size(kLargest);
      if (sizes == Sizes::told) policy.typical_octets = size;
      const std::size_t visited = count_visited();
      const Path& best = paths_[best_for(policy.typical_octets)];
      const double time = sizes == Sizes::clairvoyant ? carry(best, size) : take(policy, size);
      sum += time / oracle(size);
      if (count_visited() > visited)
        first_visits_ += (time - flow_time(best.rtt, best.bandwidth, size)) / oracle(size);
      after_flow(policy, flow);
    }
    return sum / kFlows;
  }

  // What the first visits have added to run()'s result.
  double first_visits() const { return first_visits_ / kFlows; }

  std::vector<double> draw_sizes(std::size_t flows) {
    std::vector<double> sizes;
    for (std::size_t i = 0; i < flows; ++i)
      sizes.push_back(std::floor(draw_size(kLargestOfStillWorld)) + 1);
    return sizes;
  }

  // The same of a still world, without the flows that visit everybody for the first time.
  double run_still(const std::vector<double>& sizes, std::uint64_t draw) {
    random_.seed(draw);
    std::fill(health_.begin(), health_.end(), Health{});
    noise_ = 0;
    double sum = 0;
    for (std::size_t flow = 0; flow < sizes.size(); ++flow) {
      const double ratio = take(resolver::Policy{}, sizes[flow]) / oracle(sizes[flow]);
      if (flow >= paths_.size()) sum += ratio;
      after_flow(resolver::Policy{}, flow);
    }
    return sum / static_cast<double>(sizes.size() - paths_.size());
  }

  const std::vector<Path>& paths() const { return paths_; }

  std::size_t best_for(double size) const {
    std::size_t best = 0;
    double of_best = 1e9;
    for (std::size_t i = 0; i < paths_.size(); ++i) {
      const double time = flow_time(paths_[i].rtt, paths_[i].bandwidth, size);
      if (!paths_[i].alive || time >= of_best) continue;
      best = i;
      of_best = time;
    }
    return best;
  }

 private:
  double draw_size(double largest) {
    return std::min(largest, std::exp(normal(std::log(6e4), 1.6)));
  }

  std::size_t count_visited() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(health_, [](const Health& health) { return health.visits > 0; }));
  }

  void after_flow(const resolver::Policy& policy, std::size_t flow) {
    if (flow % kTurnEvery == 0) {
      for (const std::size_t index : resolver::doubted(health_, policy, now_)) probe(index);
    }
    if (flow % kProbeEvery == 0) {
      if (const auto index = resolver::stalest(health_, policy, now_)) probe(*index);
    }
    now_ += kPause;
  }

  double uniform(double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random_);
  }
  double normal(double mean, double deviation) {
    return std::normal_distribution<double>(mean, deviation)(random_);
  }

  std::size_t extreme(bool worst) const {
    std::size_t found = paths_.size();
    double of_found = 0;
    for (std::size_t i = 0; i < paths_.size(); ++i) {
      const double time = flow_time(paths_[i].rtt, paths_[i].bandwidth, 2e5);
      if (!paths_[i].alive || (found < paths_.size() && (time > of_found) != worst)) continue;
      found = i;
      of_found = time;
    }
    return found;
  }

  void change_paths(std::size_t flow) {
    if (flow == kFlows / 3) paths_[extreme(false)].bandwidth /= 10;
    if (flow == kFlows / 2) paths_[extreme(true)] = {0.008, 300e6 / 8};
    if (flow == 2 * kFlows / 3) paths_[extreme(false)].alive = false;
  }

  double oracle(double size) const {
    const Path& path = paths_[best_for(size)];
    return flow_time(path.rtt, path.bandwidth, size);
  }

  // What the path is for one flow.
  Path seen(const Path& path) {
    const double rtt = path.rtt * std::exp(normal(0, 0.15) * noise_);
    return {rtt, path.bandwidth * std::exp(normal(0, 0.35) * noise_)};
  }

  double carry(const Path& path, double size) {
    const Path now = seen(path);
    return flow_time(now.rtt, now.bandwidth, size);
  }

  // One flow, as the relay would carry it: the first candidate that lives.
  double take(const resolver::Policy& policy, double size) {
    double time = 0;
    for (const auto& ranked : rank(candidates_, health_, policy, random_(), now_)) {
      Health& health = health_[ranked.index];
      const Path& path = paths_[ranked.index];
      health = after_attempt(std::move(health), now_);
      if (!path.alive) {
        health = after_failure(std::move(health), "dead", now_);
        time += kConnectStall;
        continue;
      }
      const Path now = seen(path);
      note(health, now.rtt, now.bandwidth, size);
      return time + flow_time(now.rtt, now.bandwidth, size);
    }
    return time;
  }

  // What the relay's meter would see of the flow.
  void note(Health& health, double rtt, double bandwidth, double size) {
    const auto round_trip = std::chrono::microseconds(static_cast<std::int64_t>(rtt * 1e6));
    health = after_rtt(std::move(health), round_trip, now_);
    health = after_success(std::move(health), now_);
    resolver::BandwidthMeter meter(round_trip);
    const auto at = [&](double seconds) {
      return now_ + std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
    };
    // Slow start in bursts of a window each round trip, then an even stream.
    double elapsed = rtt, window = 10 * kSegment, left = size;
    while (left > 0 && window < bandwidth * rtt) {
      elapsed += rtt;
      meter.received(static_cast<std::uint64_t>(std::min(left, window)), at(elapsed));
      left -= window;
      window *= 2;
    }
    const double step = std::max(0.001, left / bandwidth / 1000);
    while (left > 0) {
      elapsed += step;
      meter.received(static_cast<std::uint64_t>(std::min(left, step * bandwidth)), at(elapsed));
      left -= step * bandwidth;
    }
    if (const auto best = meter.best())
      health = after_transfer(std::move(health), *best, meter.total(), now_);
  }

  // A peer is asked for its round trip, without a flow.
  void probe(std::size_t index) {
    Health& health = health_[index];
    if (!paths_[index].alive) {
      health = after_failure(std::move(health), "dead", now_);
      return;
    }
    const double rtt = paths_[index].rtt * std::exp(normal(0, 0.15) * noise_);
    health = after_probe(std::move(health),
                         std::chrono::microseconds(static_cast<std::int64_t>(rtt * 1e6)), now_);
  }

  std::mt19937_64 random_;
  std::vector<Path> paths_;
  std::vector<Candidate> candidates_;
  std::vector<Health> health_;
  double noise_ = 1, first_visits_ = 0;
  SteadyTime now_ = SteadyTime() + 24h;
};

}  // namespace

int simulate_choice(const std::vector<std::string>& arguments) {
  if (arguments.size() != 3) return 2;
  const Sizes sizes = arguments[2] == "told"          ? Sizes::told
                      : arguments[2] == "clairvoyant" ? Sizes::clairvoyant
                                                      : Sizes::untold;
  const std::size_t peers = std::stoul(arguments[0]), seeds = std::stoul(arguments[1]);
  std::vector<double> means;
  double first_visits = 0;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    World world(peers, seed);
    means.push_back(world.run(resolver::Policy{}, sizes));
    first_visits += world.first_visits() / static_cast<double>(seeds);
  }
  std::sort(means.begin(), means.end());
  std::printf(
      "{\"peers\": %zu, \"worlds\": %zu, \"median\": %.4f, \"best\": %.4f, \"worst\": %.4f, "
      "\"first_visits\": %.4f}\n",
      peers, seeds, means[seeds / 2], means.front(), means.back(), first_visits);
  return 0;
}

int describe_still_world(const std::vector<std::string>& arguments) {
  if (arguments.size() != 3) return 2;
  const std::size_t peers = std::stoul(arguments[0]), flows = std::stoul(arguments[2]);
  if (peers == 0 || flows <= peers) return 2;
  World world(peers, std::stoul(arguments[1]));
  const std::vector<double> sizes = world.draw_sizes(flows);
  std::printf("{\"paths\": [");
  for (std::size_t i = 0; i < peers; ++i) {
    std::printf("%s[%.6f, %.0f]", i == 0 ? "" : ", ", world.paths()[i].rtt,
                world.paths()[i].bandwidth);
  }
  std::printf("], \"flows\": [");
  for (std::size_t i = 0; i < flows; ++i)
    std::printf("%s[%.0f, %zu]", i == 0 ? "" : ", ", sizes[i], world.best_for(sizes[i]));
  double sum = 0;
  for (std::uint64_t draw = 0; draw < kDraws; ++draw) sum += world.run_still(sizes, draw);
  std::printf("], \"simulated\": %.4f}\n", sum / kDraws);
  return 0;
}

}  // namespace mutua::bench
