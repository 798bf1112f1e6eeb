#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "authority/dnssec/key_role.h"
#include "base/bytes.h"
#include "base/result.h"
#include "trust/key.h"
#include "wire/name.h"

namespace mutua::authority {

constexpr std::uint32_t kKeyTtl = 3600;  // seconds: of DNSKEY, CDS and CDNSKEY

// A key that signs a zone. A value.
class ZoneKey {
 public:
  explicit ZoneKey(trust::PrivateKey key, KeyRole role = KeyRole::csk);

  const Bytes& dnskey() const { return dnskey_; }  // RDATA, RFC 4034 section 2
  std::uint16_t tag() const { return tag_; }
  std::uint8_t algorithm() const;
  // RDATA for the zone above, with a SHA-256 digest (RFC 4509), and the whole record:
  // "fed.example. IN DS …".
  Bytes ds(const wire::Name& zone) const;
  std::string ds_text(const wire::Name& zone) const;

  Result<void> save(const std::filesystem::path& path) const { return key_.save(path); }
  Bytes sign(BytesView message) const { return key_.sign(message); }

 private:
  trust::PrivateKey key_;
  Bytes dnskey_;
  std::uint16_t tag_;
};

}  // namespace mutua::authority
