#include "resolver/health/health_table.h"

namespace mutua::resolver {

std::vector<Health> HealthTable::find(const std::vector<SocketAddress>& peers) const {
  std::vector<Health> found;
  found.reserve(peers.size());
  const std::lock_guard lock(mutex_);
  for (const SocketAddress& peer : peers) {
    const auto entry = entries_.find(peer);
    found.push_back(entry == entries_.end() ? Health{} : entry->second.health);
  }
  return found;
}

void HealthTable::update(const SocketAddress& peer, const std::function<Health(Health)>& step) {
  const std::lock_guard lock(mutex_);
  auto entry = entries_.find(peer);
  if (entry == entries_.end()) {
    if (entries_.size() >= limit_) {
      entries_.erase(by_use_.back());
      by_use_.pop_back();
    }
    by_use_.push_front(peer);
    entry = entries_.emplace(peer, Entry{Health{}, by_use_.begin()}).first;
  } else {
    by_use_.splice(by_use_.begin(), by_use_, entry->second.place);
  }
  entry->second.health = step(std::move(entry->second.health));
}

void HealthTable::clear() {
  const std::lock_guard lock(mutex_);
  entries_.clear();
  by_use_.clear();
}

std::size_t HealthTable::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace mutua::resolver
