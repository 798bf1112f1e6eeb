#include "authority/dnssec/rrsig.h"

#include "wire/rdata.h"

namespace mutua::authority {
namespace {

constexpr std::size_t kFixedSize = 18;  // up to the key tag

// Serial arithmetic (RFC 4034 section 3.1.5): the moment nearest to now.
WallTime moment_of(std::uint32_t seconds, WallTime now) {
  const auto present = static_cast<std::uint32_t>(now.time_since_epoch().count());
  return now + std::chrono::seconds(static_cast<std::int32_t>(seconds - present));
}

std::uint32_t seconds_of(WallTime time) {
  return static_cast<std::uint32_t>(time.time_since_epoch().count());
}

}  // namespace

std::optional<SignatureFacts> read_rrsig(BytesView rdata, WallTime now) {
  if (rdata.size() < kFixedSize) return std::nullopt;
  const std::uint8_t* at = rdata.data();
  return SignatureFacts{static_cast<wire::RRType>(load_u16(at)), at[2], load_u32(at + 4),
                        moment_of(load_u32(at + 8), now), load_u16(at + 16)};
}

Bytes make_rrsig(const wire::Name& zone, const wire::Name& owner, const RRset& rrset,
                 const ZoneKey& key, WallTime inception, WallTime expiration) {
  const bool is_wildcard = !owner.is_root() && owner.label(0) == "*";
  Bytes rdata;
  append_u16(rdata, static_cast<std::uint16_t>(rrset.type));
  append_u8(rdata, key.algorithm());
  append_u8(rdata, static_cast<std::uint8_t>(owner.label_count() - (is_wildcard ? 1 : 0)));
  append_u32(rdata, rrset.ttl);
  append_u32(rdata, seconds_of(expiration));
  append_u32(rdata, seconds_of(inception));
  append_u16(rdata, key.tag());
  append(rdata, zone.lowered().wire());

  Bytes covered = rdata;
  const wire::Name lowered = owner.lowered();
  for (const Bytes& one : rrset.rdatas) {
    const Bytes canonical = wire::canonical_rdata(rrset.type, one);
    append(covered, lowered.wire());
    append_u16(covered, static_cast<std::uint16_t>(rrset.type));
    append_u16(covered, static_cast<std::uint16_t>(wire::RRClass::in));
    append_u32(covered, rrset.ttl);
    append_u16(covered, static_cast<std::uint16_t>(canonical.size()));
    append(covered, canonical);
  }
  append(rdata, key.sign(covered));
  return rdata;
}

}  // namespace mutua::authority
