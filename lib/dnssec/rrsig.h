#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"
#include "wire/name.h"
#include "wire/rrset.h"
#include "wire/types.h"

namespace mutua::dnssec {

// RFC 4034 section 3.1:
//
//   | type covered 2 | algorithm 1 | labels 1 | original TTL 4 | expiration 4 | inception 4 |
//   | key tag 2 | signer's name, uncompressed | signature |
struct Rrsig {
  wire::RRType covered = wire::RRType::a;
  std::uint8_t algorithm = 0;
  std::uint8_t labels = 0;  // of the owner, without the root and a leading "*"
  std::uint32_t original_ttl = 0;
  std::uint32_t expiration = 0, inception = 0;  // seconds since 1970, modulo 2^32
  std::uint16_t key_tag = 0;
  wire::Name signer;
  Bytes signature;
};

Result<Rrsig> parse_rrsig(BytesView rdata);
Bytes make_rrsig(const Rrsig& rrsig);

// What the signature covers (section 3.1.8.1): the RDATA without it, the signer's name in lower
// case, then the records of `rrset`, which is normalized, in canonical form with the original TTL.
// The owner of an RRset that came from a wildcard (labels < the owner's) becomes that wildcard;
// labels must not be more than the owner's.
Bytes signed_octets(const Rrsig& rrsig, const wire::Name& owner, const wire::RRset& rrset);

// How many labels an RRSIG over an RRset at `owner` counts, where it was not expanded.
std::uint8_t signed_labels(const wire::Name& owner);

// The moment nearest to `now` that 32 bits of seconds can stand for (section 3.1.5).
WallTime moment_of(std::uint32_t seconds, WallTime now);

}  // namespace mutua::dnssec
