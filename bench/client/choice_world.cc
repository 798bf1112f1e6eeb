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
// policies are; as the resolver works today it is not, and goes by the policy's typical size.

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

constexpr std::size_t kFlows = 3000;
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
  double run(resolver::Policy policy, bool sizes_are_told) {
    double sum = 0;
    for (std::size_t flow = 0; flow < kFlows; ++flow) {
      change_paths(flow);
      const double size = std::min(5e7, std::exp(normal(std::log(6e4), 1.6)));
      if (sizes_are_told) policy.typical_octets = size;
      sum += take(policy, size) / oracle(size);
      if (flow % kTurnEvery == 0) probe(resolver::doubted(health_, policy, now_));
      if (flow % kProbeEvery == 0) probe(resolver::stalest(health_, policy, now_));
      now_ += kPause;
    }
    return sum / kFlows;
  }

 private:
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
    double best = 1e9;
    for (const Path& path : paths_) {
      if (path.alive) best = std::min(best, flow_time(path.rtt, path.bandwidth, size));
    }
    return best;
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
      const double rtt = path.rtt * std::exp(normal(0, 0.15));
      const double bandwidth = path.bandwidth * std::exp(normal(0, 0.35));
      const double taken = flow_time(rtt, bandwidth, size);
      note(health, rtt, bandwidth, size);
      return time + taken;
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
  void probe(std::optional<std::size_t> index) {
    if (!index) return;
    Health& health = health_[*index];
    if (!paths_[*index].alive) {
      health = after_failure(std::move(health), "dead", now_);
      return;
    }
    const double rtt = paths_[*index].rtt * std::exp(normal(0, 0.15));
    health = after_probe(std::move(health),
                         std::chrono::microseconds(static_cast<std::int64_t>(rtt * 1e6)), now_);
  }

  std::mt19937_64 random_;
  std::vector<Path> paths_;
  std::vector<Candidate> candidates_;
  std::vector<Health> health_;
  SteadyTime now_ = SteadyTime() + 24h;
};

}  // namespace

int simulate_choice(const std::vector<std::string>& arguments) {
  if (arguments.size() != 3) return 2;
  const bool sizes_are_told = arguments[2] == "told";
  const std::size_t peers = std::stoul(arguments[0]), seeds = std::stoul(arguments[1]);
  std::vector<double> means;
  for (std::uint64_t seed = 0; seed < seeds; ++seed)
    means.push_back(World(peers, seed).run(resolver::Policy{}, sizes_are_told));
  std::sort(means.begin(), means.end());
  std::printf(
      "{\"peers\": %zu, \"worlds\": %zu, \"median\": %.4f, \"best\": %.4f, \"worst\": %.4f}\n",
      peers, seeds, means[seeds / 2], means.front(), means.back());
  return 0;
}

}  // namespace mutua::bench
