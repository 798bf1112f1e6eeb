#include "authority/dnssec/rrsig.h"

#include "dnssec/rrsig.h"

namespace mutua::authority {
namespace {

constexpr std::size_t kFixedSize = 18;  // up to the key tag

std::uint32_t seconds_of(WallTime time) {
  return static_cast<std::uint32_t>(time.time_since_epoch().count());
}

}  // namespace

std::optional<SignatureFacts> read_rrsig(BytesView rdata, WallTime now) {
  if (rdata.size() < kFixedSize) return std::nullopt;
  const std::uint8_t* at = rdata.data();
  return SignatureFacts{static_cast<wire::RRType>(load_u16(at)), at[2], load_u32(at + 4),
                        dnssec::moment_of(load_u32(at + 8), now), load_u16(at + 16)};
}

Bytes make_rrsig(const wire::Name& zone, const wire::Name& owner, const RRset& rrset,
                 const ZoneKey& key, WallTime inception, WallTime expiration) {
  dnssec::Rrsig rrsig;
  rrsig.covered = rrset.type;
  rrsig.algorithm = key.algorithm();
  rrsig.labels = dnssec::signed_labels(owner);
  rrsig.original_ttl = rrset.ttl;
  rrsig.expiration = seconds_of(expiration);
  rrsig.inception = seconds_of(inception);
  rrsig.key_tag = key.tag();
  rrsig.signer = zone;
  rrsig.signature = key.sign(dnssec::signed_octets(rrsig, owner, rrset));
  return dnssec::make_rrsig(rrsig);
}

}  // namespace mutua::authority
