#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "resolver/choice/choice.h"
#include "resolver/discovery/discovery.h"
#include "resolver/health/health_table.h"
#include "resolver/redirect/peer_chooser.h"

namespace mutua::resolver {

// One candidate with what was measured of it and why it stands where it stands.
struct ExplainedCandidate {
  Candidate candidate;
  Ranked ranked;
  Health health;
  std::string why;
};

// Discover, then choose: the relay's PeerChooser over Discovery, HealthTable and rank().
// Target::host is the canonical name. Thread-safe.
class Chooser final : public PeerChooser {
 public:
  // All outlive the chooser, and it outlives its discovery's questions.
  Chooser(Discovery& discovery, HealthTable& health, Policy policy, const Clock& clock);

  std::optional<Order> choose_cached(const Target& target) override;
  void choose_fresh(const Target& target, std::function<void(std::optional<Order>)> done) override;

  std::chrono::milliseconds attempted(const SocketAddress& peer,
                                      const SocketAddress* next) override;
  void overdue(const SocketAddress& peer) override;
  void measured_rtt(const SocketAddress& peer, std::chrono::microseconds rtt) override;
  void measured_transfer(const SocketAddress& peer, double octets_per_second,
                         std::uint64_t octets) override;
  void succeeded(const SocketAddress& peer) override;
  void failed(const SocketAddress& peer, const std::string& reason) override;

  // A connection that carried nothing: see after_probe().
  void probed(const SocketAddress& peer, std::chrono::microseconds rtt);
  // Connections that others than the relay have made.
  void made_connections(std::uint64_t count) { connections_ += count; }
  // All that were made so far, by the relay or others.
  std::uint64_t connections() const { return connections_; }

  // Who serves `target`, in no order; empty where the list is not at hand.
  std::vector<SocketAddress> known(const Target& target);
  // Whom to probe: see doubted() and stalest().
  std::vector<SocketAddress> doubted_of(const std::vector<SocketAddress>& peers) const;
  std::optional<SocketAddress> stalest_of(const std::vector<SocketAddress>& peers) const;

  // The peers of `target` that need no relay, the best first: those that come before every one that
  // is held down, still to be visited, or has not answered since it last failed. Empty where the
  // list is not at hand.
  struct Proven {
    SocketAddress address;
    std::chrono::microseconds rtt;
    // See overdue_after() and late_after(): when the next one is the better choice.
    std::chrono::milliseconds overdue, late;
  };
  std::vector<Proven> proven(const Target& target);

  // The best first.
  std::vector<ExplainedCandidate> explained(const std::vector<Candidate>& candidates);

 private:
  Order order_of(const std::vector<Candidate>& candidates);
  // The candidates in the cache; null where the authority would have to be asked, or has none.
  Discovery::SharedCandidates at_hand(const Target& target);
  // For an order that stands for many connections, or is looked at: nobody is tried out.
  Policy standing_policy() const;

  Discovery& discovery_;
  HealthTable& health_;
  const Policy policy_;
  const Clock& clock_;
  std::atomic<std::uint64_t> draws_;  // the seeds of rank()
  std::atomic<std::uint64_t> connections_{0};
};

}  // namespace mutua::resolver
