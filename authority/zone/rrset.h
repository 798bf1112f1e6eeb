#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "wire/name.h"
#include "wire/types.h"

namespace mutua::authority {

// All records of one type at one name (RFC 2181 section 5): one TTL, no duplicates, RDATA in
// canonical order (RFC 4034 section 6.3), never empty inside a zone.
struct RRset {
  wire::RRType type = wire::RRType::a;
  std::uint32_t ttl = 0;  // seconds
  std::vector<Bytes> rdatas;

  bool operator==(const RRset&) const = default;
};

struct OwnedRRset {
  wire::Name owner;
  RRset rrset;
  bool operator==(const OwnedRRset&) const = default;
};

// Sorts canonically and removes duplicates (compared as RFC 4034 section 6.2 canonical RDATA).
void normalize(RRset& rrset);

}  // namespace mutua::authority
