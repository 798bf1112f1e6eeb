#pragma once

#include <optional>
#include <string>

#include "base/bytes.h"
#include "resolver/authorities/ask.h"
#include "resolver/redirect/ipv4_pool.h"
#include "resolver/service/names.h"
#include "wire/message.h"

namespace mutua::resolver {

// PURE parts of the stub DNS listener.

// What is to be done with a message from a client.
struct StubRequest {
  enum class Kind {
    drop,     // a response, or not even a header
    error,    // answered with `rcode` at once
    address,  // may be a name of the federation: look `question` up first
    reverse,  // PTR of `reverse_address`
    pass_on,  // not our business: upstream, octet for octet
  };
  Kind kind = Kind::drop;
  wire::Rcode rcode = wire::Rcode::noerror;
  wire::Message message;  // of all kinds but drop; of an error only the header may be filled
  Ipv4 reverse_address;
};
StubRequest read_stub_request(BytesView bytes);

// A question whose answer for a held name is ours: A, AAAA, ANY, and HTTPS and SVCB, whose address
// hints and ports would lead around the synthetic address. Everything else of a held name (TXT,
// SRV, KEY) is passed on.
bool is_about_addresses(wire::RRType type);

// A: the synthetic address. The other types of is_about_addresses(): NODATA.
Bytes answer_held(const wire::Message& query, const LookupAnswer& answer);
// PTR of a synthetic address; NXDOMAIN without a name.
Bytes answer_reverse(const wire::Message& query, const std::optional<std::string>& name);
Bytes answer_error(const wire::Message& query, wire::Rcode rcode);
// What was proven to us (RFC 4035 section 3.2): with its signatures for those who want them (DO),
// and the AD bit for those who understand it. A flaw is a SERVFAIL that says why (RFC 8914).
Bytes answer_proven(const wire::Message& query, const ZoneAnswer& answer);

// The address of "3.2.1.127.in-addr.arpa."; nothing for other names.
std::optional<Ipv4> address_of_reverse_name(const wire::Name& name);

// Octets that the client takes in one UDP datagram (RFC 6891 section 6.2.3).
std::size_t udp_limit(const wire::Message& query);
// A response that is longer than the client takes, cut to its header and question, with TC set.
Bytes truncated(const wire::Message& query, BytesView response);

}  // namespace mutua::resolver
