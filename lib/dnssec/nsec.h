#pragma once

#include <set>

#include "base/bytes.h"
#include "base/result.h"
#include "wire/name.h"
#include "wire/types.h"

namespace mutua::dnssec {

// The types that an NSEC or NSEC3 lists (RFC 4034 section 4.1.2). A value, well-formed.
class TypeBitmaps {
 public:
  static Result<TypeBitmaps> parse(BytesView octets);

  bool lists(wire::RRType type) const;
  std::size_t count() const;

 private:
  Bytes octets_;
};

// NSEC, RFC 4034 section 4.1.
struct Nsec {
  wire::Name next;
  TypeBitmaps types;
};
Result<Nsec> parse_nsec(BytesView rdata);
Bytes make_nsec(const std::set<wire::RRType>& types, const wire::Name& next);
// Section 4.1.2; what an NSEC3 ends in, too. Nothing for no types.
Bytes make_type_bitmaps(const std::set<wire::RRType>& types);

}  // namespace mutua::dnssec
