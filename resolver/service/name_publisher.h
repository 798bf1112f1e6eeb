#pragma once

#include <chrono>
#include <string>

#include "resolver/redirect/ipv4_pool.h"

namespace mutua::resolver {

// Told which names may be answered without asking the resolver. Called on one thread. Names are in
// lower case without the final dot.
class NamePublisher {
 public:
  virtual ~NamePublisher() = default;
  // `name` has `address` for `ttl` from now; replaces what was said of it before.
  virtual void publish(const std::string& name, Ipv4 address, std::chrono::seconds ttl) = 0;
  // Nothing is known of `name` any more.
  virtual void withdraw(const std::string& name) = 0;
};

}  // namespace mutua::resolver
