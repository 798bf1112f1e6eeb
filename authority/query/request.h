#pragma once

#include <cstdint>

#include "authority/zone/folded_name.h"
#include "base/bytes.h"
#include "wire/types.h"

namespace mutua::authority {

// What a message turns out to be, as far as answering goes.
enum class RequestKind {
  silent,     // shorter than a header, or a response: answering it could loop
  malformed,  // FORMERR
  query,      // a standard query with one question
  cookie,     // a query without question that asks for a server cookie (RFC 7873 section 5.4)
  update,     // RFC 2136, and NOTIFY: the write side's; only the header was read
  other,      // an opcode that is not served: NOTIMP
};

// A question as it came. Views into the message.
struct Request {
  RequestKind kind = RequestKind::silent;
  std::uint16_t id = 0;
  std::uint8_t opcode = 0;
  bool recursion_desired = false;
  bool checking_disabled = false;

  // Set for a query, and for a malformed message whose question at least could be read.
  BytesView question;  // name, QTYPE and QCLASS byte for byte; empty where there is none
  FoldedName name;
  wire::RRType type = wire::RRType::a;
  std::uint16_t rclass = 1;

  bool has_edns = false;  // exactly one well-formed OPT (RFC 6891)
  std::uint8_t edns_version = 0;
  bool dnssec_ok = false;
  std::uint16_t udp_size = 512;  // octets that the client takes in one datagram
  BytesView cookie;              // the COOKIE option's data (RFC 7873), 8 or 16 to 40 octets
  bool wants_padding = false;    // RFC 7830
  std::size_t tsig_size = 0;     // octets of the TSIG record that ends the message; 0: none
};

// Reads a message in place: no allocation, one pass over it. Counts that lie, trailing octets, a
// second OPT or one that is not the root's, a COOKIE of an impossible size, a TSIG that is not
// last, and a compressed question are malformed.
void parse_request(BytesView message, Request& request);

}  // namespace mutua::authority
