#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "wire/name.h"
#include "wire/types.h"

namespace mutua::wire {

// RDATA as the zone keeps it: names inside are uncompressed.

struct Soa {  // RFC 1035 section 3.3.13
  Name mname, rname;
  std::uint32_t serial = 0, refresh = 0, retry = 0, expire = 0, minimum = 0;
};
struct Srv {  // RFC 2782
  std::uint16_t priority = 0, weight = 0, port = 0;
  Name target;
};
struct Key {  // RFC 2535 section 3, RFC 3445; the same shape as DNSKEY
  std::uint16_t flags = 0;
  std::uint8_t protocol = 3;
  std::uint8_t algorithm = 0;
  Bytes public_key;
};
struct Nsec3Parameters {  // RFC 5155 section 4.2
  std::uint8_t algorithm = 0;
  std::uint16_t iterations = 0;
  Bytes salt;

  // Of SHA-1, and with no further iterations: the hash that anybody here computes (RFC 9276 section 3.1).
  bool is_plain() const;
};

Result<Soa> parse_soa(BytesView rdata);
Bytes make_soa(const Soa& soa);
Result<Srv> parse_srv(BytesView rdata);
Bytes make_srv(const Srv& srv);
Result<Key> parse_key(BytesView rdata);
Bytes make_key(const Key& key);
std::uint16_t key_tag(BytesView key_rdata);  // RFC 4034 appendix B
Result<Nsec3Parameters> parse_nsec3param(BytesView rdata);
// TXT: one or more strings of at most 255 octets.
Result<std::vector<std::string>> parse_txt(BytesView rdata);
Result<Bytes> make_txt(const std::vector<std::string>& strings);
// RDATA that is one name: NS, CNAME, PTR, DNAME.
Result<Name> parse_name_rdata(BytesView rdata);

// Serial arithmetic, RFC 1982: true when `a` is later than `b`.
constexpr bool serial_after(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::int32_t>(a - b) > 0;
}

// Checks that RDATA of a known type has that type's shape (all of it used, names whole); unknown
// types pass (RFC 3597).
Result<void> check_rdata(RRType type, BytesView rdata);

// Takes RDATA out of a message: expands compressed names in the types that may compress, checks
// the shape, and lowers nothing. `offset`..`offset+length` lies inside `message`.
Result<Bytes> extract_rdata(BytesView message, std::size_t offset, std::size_t length, RRType type);

// RDATA with the letters of embedded names lowered as RFC 4034 section 6.2 wants for comparisons.
Bytes canonical_rdata(RRType type, BytesView rdata);

// The target of NS, CNAME, PTR, MX and SRV, whose addresses belong into the additional section.
std::optional<Name> target_of(RRType type, BytesView rdata);
// Where it begins in the RDATA of these types; it ends the RDATA.
std::optional<std::size_t> target_offset(RRType type);

}  // namespace mutua::wire
