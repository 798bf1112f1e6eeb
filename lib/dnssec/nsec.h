#pragma once

#include <set>

#include "base/bytes.h"
#include "base/result.h"
#include "wire/name.h"
#include "wire/types.h"

namespace mutua::dnssec {

// NSEC, RFC 4034 section 4.1.
struct Nsec {
  wire::Name next;
  Bytes bitmaps;  // well-formed

  bool lists(wire::RRType type) const;
  std::size_t type_count() const;
};
Result<Nsec> parse_nsec(BytesView rdata);
Bytes make_nsec(const std::set<wire::RRType>& types, const wire::Name& next);
// Section 4.1.2; what an NSEC3 ends in, too. Nothing for no types.
Bytes make_type_bitmaps(const std::set<wire::RRType>& types);

}  // namespace mutua::dnssec
