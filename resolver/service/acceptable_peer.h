#pragma once

#include "base/socket_address.h"
#include "resolver/redirect/ipv4_pool.h"

namespace mutua::resolver {

enum class LoopbackPeers { no, yes };

// Whether a zone may lead this client's connections to `address`. Never into the synthetic range
// (the relay would meet itself), nor to addresses that are nobody's: unspecified, multicast,
// broadcast, IPv4 in IPv6 dress. Loopback only where asked for, so that a zone cannot reach the
// services of the client's own machine. PURE.
bool is_acceptable_peer(const SocketAddress& address, const Ipv4Range& synthetic,
                        LoopbackPeers loopback);

}  // namespace mutua::resolver
