#include "resolver/service/chooser.h"

#include <random>

#include "base/log.h"

namespace mutua::resolver {
namespace {

std::vector<SocketAddress> addresses_of(const std::vector<Candidate>& candidates) {
  std::vector<SocketAddress> addresses;
  addresses.reserve(candidates.size());
  for (const Candidate& candidate : candidates) addresses.push_back(candidate.address);
  return addresses;
}

}  // namespace

Chooser::Chooser(Discovery& discovery, HealthTable& health, Policy policy, const Clock& clock)
    : discovery_(discovery),
      health_(health),
      policy_(policy),
      clock_(clock),
      draws_(std::random_device{}()) {}

PeerChooser::Order Chooser::order_of(const std::vector<Candidate>& candidates) {
  const auto addresses = addresses_of(candidates);
  Order order;
  order.reserve(addresses.size());
  for (const Ranked& ranked : rank(candidates, health_.find(addresses), policy_,
                                   draws_.fetch_add(1), clock_.steady_now())) {
    order.push_back(addresses[ranked.index]);
  }
  return order;
}

std::optional<PeerChooser::Order> Chooser::choose_cached(const Target& target) {
  const auto host = wire::Name::parse(target.host);
  if (!host) return Order{};
  const auto known = discovery_.find_cached(*host, target.port);
  if (!known || !known->ok()) return std::nullopt;
  return order_of(***known);
}

void Chooser::choose_fresh(const Target& target, std::function<void(std::optional<Order>)> done) {
  const auto host = wire::Name::parse(target.host);
  if (!host) return done(Order{});
  discovery_.find(*host, target.port, Discovery::Freshness::refreshed,
                  [this, done = std::move(done)](Result<Discovery::SharedCandidates> found) {
                    if (found) return done(order_of(**found));
                    log::warning("discovery.failed", {{"cause", found.error().message()}});
                    done(std::nullopt);
                  });
}

std::chrono::milliseconds Chooser::attempted(const SocketAddress& peer, const SocketAddress* next) {
  ++connections_;
  const Health of_next = next == nullptr ? Health{} : health_.find({*next}).front();
  std::chrono::milliseconds patience{};
  health_.update(peer, [&](Health health) {
    patience = overdue_after(health.smoothed_rtt, detour(health, of_next, policy_));
    return after_attempt(std::move(health), clock_.steady_now());
  });
  return patience;
}

void Chooser::overdue(const SocketAddress& peer) {
  health_.update(
      peer, [&](Health health) { return after_overdue(std::move(health), clock_.steady_now()); });
}

void Chooser::measured_rtt(const SocketAddress& peer, std::chrono::microseconds rtt) {
  health_.update(
      peer, [&](Health health) { return after_rtt(std::move(health), rtt, clock_.steady_now()); });
}

void Chooser::measured_transfer(const SocketAddress& peer, double octets_per_second,
                                std::uint64_t octets) {
  health_.update(peer, [&](Health health) {
    return after_transfer(std::move(health), octets_per_second, octets, clock_.steady_now());
  });
}

void Chooser::probed(const SocketAddress& peer, std::chrono::microseconds rtt) {
  health_.update(peer, [&](Health health) {
    return after_probe(std::move(health), rtt, clock_.steady_now());
  });
}

Discovery::SharedCandidates Chooser::at_hand(const Target& target) {
  const auto host = wire::Name::parse(target.host);
  const auto list = host ? discovery_.find_cached(*host, target.port) : std::nullopt;
  return list && list->ok() ? **list : nullptr;
}

std::vector<SocketAddress> Chooser::known(const Target& target) {
  const auto candidates = at_hand(target);
  return candidates ? addresses_of(*candidates) : std::vector<SocketAddress>();
}

std::vector<SocketAddress> Chooser::doubted_of(const std::vector<SocketAddress>& peers) const {
  std::vector<SocketAddress> found;
  for (const std::size_t index : doubted(health_.find(peers), policy_, clock_.steady_now()))
    found.push_back(peers[index]);
  return found;
}

std::optional<SocketAddress> Chooser::stalest_of(const std::vector<SocketAddress>& peers) const {
  const auto index = stalest(health_.find(peers), policy_, clock_.steady_now());
  return index ? std::optional(peers[*index]) : std::nullopt;
}

void Chooser::succeeded(const SocketAddress& peer) {
  health_.update(
      peer, [&](Health health) { return after_success(std::move(health), clock_.steady_now()); });
}

void Chooser::failed(const SocketAddress& peer, const std::string& reason) {
  health_.update(peer, [&](Health health) {
    return after_failure(std::move(health), reason, clock_.steady_now());
  });
}

Policy Chooser::standing_policy() const {
  Policy policy = policy_;
  policy.explore = 0;
  return policy;
}

std::vector<Chooser::Proven> Chooser::proven(const Target& target) {
  const auto candidates = at_hand(target);
  if (!candidates) return {};
  const std::vector<Health> health = health_.find(addresses_of(*candidates));
  std::vector<Proven> proven;
  std::optional<std::size_t> before;
  // A lower priority is for emergencies, whatever its peers could do.
  const auto note_next = [&](std::optional<std::size_t> next) {
    if (!before) return;
    const Health& peer = health[*before];
    const bool is_equal = next && (*candidates)[*next].priority == (*candidates)[*before].priority;
    const auto cost = detour(peer, is_equal ? health[*next] : Health{}, policy_);
    proven.back().overdue = overdue_after(peer.smoothed_rtt, cost);
    proven.back().late = late_after(*peer.smoothed_rtt, cost);
  };
  for (const Ranked& ranked :
       rank(*candidates, health, standing_policy(), 0, clock_.steady_now())) {
    const Health& one = health[ranked.index];
    if (ranked.standing != Standing::measured || one.consecutive_failures > 0) break;
    note_next(ranked.index);
    proven.push_back({(*candidates)[ranked.index].address, *one.smoothed_rtt, {}, {}});
    before = ranked.index;
  }
  note_next(std::nullopt);
  return proven;
}

std::vector<ExplainedCandidate> Chooser::explained(const std::vector<Candidate>& candidates) {
  const SteadyTime now = clock_.steady_now();
  const std::vector<Health> health = health_.find(addresses_of(candidates));
  std::vector<ExplainedCandidate> result;
  for (const Ranked& ranked : rank(candidates, health, standing_policy(), draws_.load(), now)) {
    result.push_back({candidates[ranked.index], ranked, health[ranked.index],
                      explain(ranked, health[ranked.index], policy_, now)});
  }
  return result;
}

}  // namespace mutua::resolver
