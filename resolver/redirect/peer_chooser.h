#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/socket_address.h"
#include "resolver/choice/service_port.h"

namespace mutua::resolver {

// What a synthetic (address, port) stands for.
struct Target {
  std::string host;
  ServicePort port;
};

// What the relay asks of the rest of the resolver, and what it tells it. Thread-safe: every relay
// thread calls it.
class PeerChooser {
 public:
  using Order = std::vector<SocketAddress>;  // the best first; empty: nobody serves it

  virtual ~PeerChooser() = default;

  // Where to try, from the cache; nothing where the authority has to be asked.
  virtual std::optional<Order> choose_cached(const Target& target) = 0;
  // The same after asking the authority; nothing where it could not say. `done` runs once, within
  // the authority's time-outs, on any thread.
  virtual void choose_fresh(const Target& target,
                            std::function<void(std::optional<Order>)> done) = 0;

  // A connection to `peer` begins, where others would go to `next` (null: nowhere) instead. Returns
  // after how long without an answer overdue() is due.
  virtual std::chrono::milliseconds attempted(const SocketAddress& peer,
                                              const SocketAddress* next) = 0;
  virtual void overdue(const SocketAddress& peer) = 0;
  virtual void measured_rtt(const SocketAddress& peer, std::chrono::microseconds rtt) = 0;
  // The best window of a connection that received `octets`.
  virtual void measured_transfer(const SocketAddress& peer, double octets_per_second,
                                 std::uint64_t octets) = 0;
  virtual void succeeded(const SocketAddress& peer) = 0;
  virtual void failed(const SocketAddress& peer, const std::string& reason) = 0;
};

}  // namespace mutua::resolver
