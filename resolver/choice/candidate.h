#pragma once

#include <cstdint>
#include <string>

#include "base/socket_address.h"

namespace mutua::resolver {

// One address of one peer that serves a (hostname, port), as the SRV record says.
struct Candidate {
  SocketAddress address;
  std::uint16_t priority = 0, weight = 0;  // RFC 2782
  std::string target;                      // the peer's name, for people
};

}  // namespace mutua::resolver
