#pragma once

#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <vector>

#include "base/socket_address.h"
#include "resolver/health/health.h"

namespace mutua::resolver {

// The health of every peer that this client knows, by (address, port). Bounded: the peer that was
// unused for longest is forgotten. Thread-safe: relay threads write and read it for each
// connection.
class HealthTable {
 public:
  explicit HealthTable(std::size_t limit) : limit_(limit) {}

  std::vector<Health> find(const std::vector<SocketAddress>& peers) const;
  void update(const SocketAddress& peer, const std::function<Health(Health)>& step);
  void clear();
  std::size_t size() const;

 private:
  struct Entry {
    Health health;
    std::list<SocketAddress>::iterator place;
  };
  const std::size_t limit_;
  mutable std::mutex mutex_;  // guards the rest
  std::map<SocketAddress, Entry> entries_;
  std::list<SocketAddress> by_use_;  // the latest first
};

}  // namespace mutua::resolver
