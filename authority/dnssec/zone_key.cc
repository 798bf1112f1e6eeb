#include "authority/dnssec/zone_key.h"

#include <utility>

#include "dnssec/dnskey.h"
#include "wire/presentation.h"
#include "wire/rdata.h"

namespace mutua::authority {
namespace {

constexpr std::uint16_t kZoneKeyFlags = dnssec::kZoneFlag | dnssec::kEntryPointFlag;

Bytes dnskey_of(const trust::PublicKey& key) {
  return wire::make_key(
      wire::Key{kZoneKeyFlags, 3, static_cast<std::uint8_t>(key.algorithm()), to_bytes(key.raw())});
}

}  // namespace

ZoneKey::ZoneKey(trust::PrivateKey key)
    : key_(std::move(key)), dnskey_(dnskey_of(key_.public_key())), tag_(wire::key_tag(dnskey_)) {}

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
