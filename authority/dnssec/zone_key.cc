#include "authority/dnssec/zone_key.h"

#include <utility>

#include "dnssec/dnskey.h"
#include "wire/presentation.h"
#include "wire/rdata.h"

namespace mutua::authority {
namespace {

// The entry point's flag says what the zone above may know (RFC 4034 section 2.1.1).
constexpr std::uint16_t flags_of(KeyRole role) {
  return may_do(role, KeyDuty::parent) ? dnssec::kZoneFlag | dnssec::kEntryPointFlag
                                       : dnssec::kZoneFlag;
}

Bytes dnskey_of(const trust::PublicKey& key, KeyRole role) {
  return wire::make_key(wire::Key{flags_of(role), 3, static_cast<std::uint8_t>(key.algorithm()),
                                  to_bytes(key.raw())});
}

}  // namespace

ZoneKey::ZoneKey(trust::PrivateKey key, KeyRole role)
    : key_(std::move(key)),
      dnskey_(dnskey_of(key_.public_key(), role)),
      tag_(wire::key_tag(dnskey_)) {}

std::uint8_t ZoneKey::algorithm() const {
  return static_cast<std::uint8_t>(key_.public_key().algorithm());
}

Bytes ZoneKey::ds(const wire::Name& zone) const {
  return dnssec::make_ds(dnssec::ds_of(zone, dnskey_, dnssec::DigestType::sha256));
}

std::string ZoneKey::ds_text(const wire::Name& zone) const {
  return zone.to_text() + " IN DS " + wire::rdata_to_text(wire::RRType::ds, ds(zone));
}

}  // namespace mutua::authority
