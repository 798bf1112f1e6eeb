#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "wire/message.h"

namespace mutua::authority {

// Responses of upstream resolvers, for as long as their TTLs allow; negative ones as long as their
// SOA allows (RFC 2308 section 5). Bounded; the one unused longest goes first. Not thread-safe.
class ResponseCache {
 public:
  explicit ResponseCache(std::size_t most_octets) : most_octets_(most_octets) {}

  // What distinguishes answers: the question without regard to case, DO and CD.
  static std::string key_of(const wire::Message& query);

  // Keeps the response under the key, if its content may be kept at all.
  void put(const std::string& key, const wire::Message& response, SteadyTime now);
  // The response with its TTLs counted down.
  std::optional<wire::Message> find(const std::string& key, SteadyTime now);

  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    wire::Message response;
    SteadyTime stored, expires;
    std::size_t octets;
    std::list<std::string>::iterator use;
  };

  void erase(const std::string& key);

  const std::size_t most_octets_;
  std::size_t octets_ = 0;
  std::unordered_map<std::string, Entry> entries_;
  std::list<std::string> by_use_;  // keys, the one unused longest first
};

}  // namespace mutua::authority
