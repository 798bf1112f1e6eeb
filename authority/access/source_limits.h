#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "base/clock.h"
#include "base/socket_address.h"

namespace mutua::authority {

// Bounds the signature checks that one source may waste: after some failures within a second, its
// requests are refused unverified until the second is over. UDP and TCP count apart, because a
// datagram's source may be forged: whoever is framed can still come over TCP.
class SourceLimits {
 public:
  bool allows(const SocketAddress& source, bool tcp, SteadyTime now) const;
  void count_failure(const SocketAddress& source, bool tcp, SteadyTime now);

 private:
  static constexpr unsigned kFailuresPerSecond = 50;
  static constexpr std::size_t kSources = 4096;

  struct Window {
    SteadyTime start;
    unsigned failures = 0;
  };
  // An IPv6 host has a whole /64 to send from.
  static std::string key_of(const SocketAddress& source, bool tcp);

  std::map<std::string, Window> windows_;
};

}  // namespace mutua::authority
