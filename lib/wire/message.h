#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "wire/edns.h"
#include "wire/name.h"
#include "wire/types.h"

namespace mutua::wire {

constexpr std::size_t kHeaderSize = 12;
constexpr std::size_t kLargestMessage = 65535;
constexpr std::size_t kPlainUdpSize = 512;
constexpr std::uint16_t kEdnsUdpSize = 1232;

// RFC 1035 section 4.1.1.
struct Header {
  std::uint16_t id = 0;
  bool response = false;
  Opcode opcode = Opcode::query;
  bool authoritative = false, truncated = false, recursion_desired = false;
  bool recursion_available = false, authentic_data = false, checking_disabled = false;
  Rcode rcode = Rcode::noerror;  // all 12 bits; the upper 8 travel in the OPT record
};

struct Question {
  Name name;
  RRType type = RRType::a;
  RRClass rclass = RRClass::in;
  bool operator==(const Question&) const = default;
};

struct Record {
  Name owner;
  RRType type = RRType::a;
  RRClass rclass = RRClass::in;
  std::uint32_t ttl = 0;  // seconds
  Bytes rdata;            // names uncompressed; empty in the deletions and tests of UPDATE
  bool operator==(const Record&) const = default;
};

// A whole DNS message. For UPDATE (RFC 2136) the sections are zone, prerequisite, update,
// additional. OPT stands in `edns`, never among the records. A transaction signature (TSIG or
// SIG(0)) is not among `additional` either: `signature_offset` tells where its record begins.
struct Message {
  Header header;
  std::vector<Question> question;
  std::vector<Record> answer, authority, additional;
  std::optional<Edns> edns;
  // Set by parse: the last record, when it is a TSIG or a SIG with type covered 0.
  std::optional<std::size_t> signature_offset;
  RRType signature_type = RRType::tsig;  // tsig or sig, where signature_offset is set

  // The message in wire format, names compressed; records that do not fit into `limit` octets are
  // left out whole, section by section from the end, and TC is set unless only the additional
  // section lost records. Never signed: sign_sig0 and sign_tsig append to these bytes.
  Bytes to_wire(std::size_t limit = kLargestMessage) const;

  // An empty response to this message: id, opcode, RD and question copied, QR set.
  Message response(Rcode rcode) const;
};

// The whole of `bytes`. Fails on anything that RFC 1035, 2136, 6891 call malformed: counts that
// lie, trailing octets, two OPTs, a TSIG or SIG(0) that is not last, names or RDATA that do not
// end. The caller answers FORMERR where at least the header came and QR is not set.
Result<Message> parse(BytesView bytes);

// The header alone; nothing where fewer than 12 octets came.
std::optional<Header> parse_header(BytesView bytes);

}  // namespace mutua::wire
