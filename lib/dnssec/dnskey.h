#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"
#include "wire/name.h"

namespace mutua::dnssec {

// DNSKEY flags: RFC 4034 section 2.1.1, RFC 5011 section 3.
constexpr std::uint16_t kZoneFlag = 0x0100, kRevokedFlag = 0x0080, kEntryPointFlag = 0x0001;

enum class DigestType : std::uint8_t { sha256 = 2, sha384 = 4 };

// RFC 4034 section 5.1.
struct Ds {
  std::uint16_t key_tag = 0;
  std::uint8_t algorithm = 0;
  std::uint8_t digest_type = 0;
  Bytes digest;
  bool operator==(const Ds&) const = default;
};
Result<Ds> parse_ds(BytesView rdata);
Bytes make_ds(const Ds& ds);

// The DS that stands for a DNSKEY of `owner` (section 5.1.4).
Ds ds_of(const wire::Name& owner, BytesView dnskey_rdata, DigestType type);

}  // namespace mutua::dnssec
