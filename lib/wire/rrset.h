#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "wire/name.h"
#include "wire/types.h"

namespace mutua::wire {

// All records of one type at one name (RFC 2181 section 5): one TTL, no duplicates, RDATA in
// canonical order (RFC 4034 section 6.3), never empty inside a zone.
struct RRset {
  RRType type = RRType::a;
  std::uint32_t ttl = 0;  // seconds
  std::vector<Bytes> rdatas;

  bool operator==(const RRset&) const = default;
};

// The TTL of one record of it: the RRset's. But an RRSIG's is that of the RRset that it covers
// (RFC 4034 section 3), which its RDATA names; an RRset of RRSIGs has none of its own (0).
std::uint32_t ttl_of(const RRset& rrset, BytesView rdata);

struct OwnedRRset {
  Name owner;
  RRset rrset;
  bool operator==(const OwnedRRset&) const = default;
};

// Sorts canonically and removes duplicates (compared as RFC 4034 section 6.2 canonical RDATA).
void normalize(RRset& rrset);

}  // namespace mutua::wire
