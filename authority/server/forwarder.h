#pragma once

#include <memory>
#include <mutex>

#include "authority/server/handover.h"
#include "authority/server/response_cache.h"
#include "base/clock.h"
#include "upstream/upstream.h"

namespace mutua::authority {

// Relinquishes names of others to real DNS (unknown_names = forward): a cache in front of upstream
// resolvers. Thread-safe. Responses have RA set and AD clear: nothing was validated here. Where
// upstream does not answer in time the client gets SERVFAIL with an extended error.
class Forwarder {
 public:
  static constexpr std::size_t kCacheSize = 32 * 1024 * 1024;  // octets, about

  // `clock` outlives the forwarder.
  Forwarder(std::unique_ptr<upstream::Upstream> upstream, const Clock& clock,
            std::size_t cache_octets = kCacheSize);

  // A Taker. False where too many questions are under way.
  bool take(Handover handover);

 private:
  struct State {  // shared with the questions under way
    State(const Clock& the_clock, std::size_t cache_octets)
        : clock(the_clock), cache(cache_octets) {}
    const Clock& clock;
    std::mutex mutex;
    ResponseCache cache;  // guarded by mutex
  };

  const std::shared_ptr<State> state_;
  const std::unique_ptr<upstream::Upstream> upstream_;  // its last answers still use the state
};

}  // namespace mutua::authority
