#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "authority/zone/zone_version.h"
#include "base/bytes.h"

namespace mutua::authority {

enum class Transport { udp, tcp };
enum class Recursion {
  refused,
  offered
};  // offered: RA is set; the asker forwards what is not ours

// The response buffers that answer() never outgrows.
constexpr std::size_t kUdpResponseSize = 1232;
constexpr std::size_t kTcpResponseSize = 65535;

struct Answered {
  enum class Kind {
    silent,    // send nothing
    response,  // send `size` octets
    not_ours,  // the same, a REFUSED; or ask upstream instead, where RD is set and recursion offered
    update,    // RFC 2136: hand it to the write side; nothing was written
  };
  Kind kind;
  std::size_t size;
};

// Answers one message from one version of the zone. Pure: no lock, no allocation, nothing kept.
//
//  - RFC 1034 section 4.3.2 with wildcards (RFC 4592), CNAME chains of up to 16 within the zone,
//    DNAME (RFC 6672), referrals with glue, DS at the parent; the question byte for byte.
//  - Negative answers carry the SOA with the TTL of RFC 2308.
//  - The addresses of SRV, MX and NS targets go into the additional section as far as they fit.
//  - ANY gets one RRset (RFC 8482). Transfers, other classes and names outside the zone: REFUSED.
//  - Responses by UDP have at most 1232 octets, and no more than the client takes; what does not
//    fit is left out with TC set.
//  - A name outside the zone is looked for at <name>.lookaside.<apex> first, where that exists.
//
// `out` has kUdpResponseSize or kTcpResponseSize octets and does not overlap `message`.
Answered answer(BytesView message, Transport transport, Recursion recursion,
                const ZoneVersion& version, std::span<std::uint8_t> out);

// The RD bit of a message that answer() called not ours.
inline bool asks_for_recursion(BytesView message) { return (message[2] & 0x01) != 0; }

}  // namespace mutua::authority
