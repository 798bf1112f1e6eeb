#include "dnssec/rrsig.h"

#include "base/assert.h"
#include "wire/rdata.h"

namespace mutua::dnssec {
namespace {

constexpr std::size_t kFixedSize = 18;  // up to the key tag

Bytes fields_of(const Rrsig& rrsig) {
  Bytes rdata;
  append_u16(rdata, static_cast<std::uint16_t>(rrsig.covered));
  append_u8(rdata, rrsig.algorithm);
  append_u8(rdata, rrsig.labels);
  append_u32(rdata, rrsig.original_ttl);
  append_u32(rdata, rrsig.expiration);
  append_u32(rdata, rrsig.inception);
  append_u16(rdata, rrsig.key_tag);
  append(rdata, rrsig.signer.lowered().wire());
  return rdata;
}

// In lower case; section 3.1.8.1's "fqdn" and "*." forms.
Bytes signed_owner(const Rrsig& rrsig, const wire::Name& owner) {
  BASE_ASSERT(rrsig.labels <= signed_labels(owner));
  const wire::Name lowered = owner.lowered();
  if (rrsig.labels == signed_labels(owner)) return to_bytes(lowered.wire());
  Bytes wildcard{1, '*'};
  append(wildcard, lowered.ancestor(rrsig.labels).wire());
  return wildcard;
}

}  // namespace

Result<Rrsig> parse_rrsig(BytesView rdata) {
  if (rdata.size() < kFixedSize) return Error("RRSIG record: RDATA too short");
  const std::uint8_t* at = rdata.data();
  Rrsig rrsig;
  rrsig.covered = static_cast<wire::RRType>(load_u16(at));
  rrsig.algorithm = at[2];
  rrsig.labels = at[3];
  rrsig.original_ttl = load_u32(at + 4);
  rrsig.expiration = load_u32(at + 8);
  rrsig.inception = load_u32(at + 12);
  rrsig.key_tag = load_u16(at + 16);
  std::size_t end = kFixedSize;
  if (!wire::skip_name(rdata, end)) return Error("RRSIG record: the signer's name does not end");
  rrsig.signer = TRY(wire::Name::from_wire(rdata.subspan(kFixedSize, end - kFixedSize)));
  rrsig.signature = to_bytes(rdata.subspan(end));
  return rrsig;
}

Bytes make_rrsig(const Rrsig& rrsig) {
  Bytes rdata = fields_of(rrsig);
  append(rdata, rrsig.signature);
  return rdata;
}

Bytes signed_octets(const Rrsig& rrsig, const wire::Name& owner, const wire::RRset& rrset) {
  Bytes covered = fields_of(rrsig);
  const Bytes signed_name = signed_owner(rrsig, owner);
  for (const Bytes& one : rrset.rdatas) {
    const Bytes canonical = wire::canonical_rdata(rrset.type, one);
    append(covered, signed_name);
    append_u16(covered, static_cast<std::uint16_t>(rrset.type));
    append_u16(covered, static_cast<std::uint16_t>(wire::RRClass::in));
    append_u32(covered, rrsig.original_ttl);
    append_u16(covered, static_cast<std::uint16_t>(canonical.size()));
    append(covered, canonical);
  }
  return covered;
}

std::uint8_t signed_labels(const wire::Name& owner) {
  const bool is_wildcard = !owner.is_root() && owner.label(0) == "*";
  return static_cast<std::uint8_t>(owner.label_count() - (is_wildcard ? 1 : 0));
}

WallTime moment_of(std::uint32_t seconds, WallTime now) {
  const auto present = static_cast<std::uint32_t>(now.time_since_epoch().count());
  return now + std::chrono::seconds(static_cast<std::int32_t>(seconds - present));
}

}  // namespace mutua::dnssec
