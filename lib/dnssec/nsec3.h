#pragma once

#include <array>
#include <cstdint>
#include <set>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "dnssec/nsec.h"
#include "wire/name.h"
#include "wire/types.h"

namespace mutua::dnssec {

// NSEC3 (RFC 5155) as RFC 9276 wants it made: SHA-1, no further iterations, no opt-out.

using Nsec3Hash = std::array<std::uint8_t, 20>;
using Nsec3Label = std::array<std::uint8_t, 33>;  // with its length in front

// `name`: in wire format and lower case. Without allocation.
Nsec3Hash nsec3_hash(BytesView name, BytesView salt);
// The first label of the NSEC3 of that name: base32hex, lower case.
Nsec3Label nsec3_label(const Nsec3Hash& hash);
// Back from the text of such a label, in either case; all zeros where it is none.
Nsec3Hash nsec3_hash_of_label(std::string_view label);
// The name of the NSEC3 of a name with that hash. Fails where the apex is too long to have any.
Result<wire::Name> nsec3_owner(const wire::Name& apex, const Nsec3Hash& hash);

// As it comes from anybody: of SHA-1, with hashes of its size, and with no further iterations, for those
// cost whoever checks more than they are worth (RFC 9276 section 3.2).
struct Nsec3 {
  bool opt_out = false;
  Bytes salt;
  Nsec3Hash next{};
  TypeBitmaps types;
};
Result<Nsec3> parse_nsec3(BytesView rdata);

// Without salt.
Bytes make_nsec3(const std::set<wire::RRType>& types, const Nsec3Hash& next);
// The same NSEC3, but for the one that follows it. `rdata` is well-formed and of this hash.
Bytes with_next(BytesView rdata, const Nsec3Hash& next);

// NSEC3PARAM for that, without salt.
Bytes make_nsec3param();

}  // namespace mutua::dnssec
