#include "dnssec/zone_digest.h"

#include "wire/rdata.h"

namespace mutua::dnssec {
namespace {

using wire::RRType;

constexpr std::uint8_t kSimpleScheme = 1;
constexpr std::uint8_t kSha384 = 1;
constexpr std::size_t kFixedSize = 6;  // serial, scheme, algorithm
constexpr std::size_t kEnough = 64 * 1024;

bool is_excluded(const wire::RRset& rrset, BytesView rdata) {
  if (rrset.type == RRType::zonemd) return true;
  return rrset.type == RRType::rrsig && rdata.size() >= 2 &&
         static_cast<RRType>(load_u16(rdata.data())) == RRType::zonemd;
}

}  // namespace

ZoneDigest::ZoneDigest(const wire::Name& apex) : apex_(apex) {}

void ZoneDigest::add(const wire::Name& owner, const wire::RRset& rrset) {
  const bool at_apex = owner == apex_;
  const wire::Name lowered = owner.lowered();
  for (const Bytes& rdata : rrset.rdatas) {
    if (at_apex && is_excluded(rrset, rdata)) continue;
    append(pending_, lowered.wire());
    append_u16(pending_, static_cast<std::uint16_t>(rrset.type));
    append_u16(pending_, static_cast<std::uint16_t>(wire::RRClass::in));
    append_u32(pending_, wire::ttl_of(rrset, rdata));
    const Bytes canonical = wire::canonical_rdata(rrset.type, rdata);
    append_u16(pending_, static_cast<std::uint16_t>(canonical.size()));
    append(pending_, canonical);
  }
  if (pending_.size() < kEnough) return;
  hash_.update(pending_);
  pending_.clear();
}

Bytes ZoneDigest::finish() {
  hash_.update(pending_);
  return hash_.finish();
}

Bytes make_zonemd(std::uint32_t serial, BytesView digest) {
  Bytes rdata;
  append_u32(rdata, serial);
  append_u8(rdata, kSimpleScheme);
  append_u8(rdata, kSha384);
  append(rdata, digest);
  return rdata;
}

std::optional<StatedDigest> stated_digest(const wire::RRset& zonemd) {
  for (const Bytes& rdata : zonemd.rdatas) {
    if (rdata.size() != kFixedSize + kZoneDigestSize || rdata[4] != kSimpleScheme ||
        rdata[5] != kSha384)
      continue;
    return StatedDigest{load_u32(rdata.data()), to_bytes(BytesView(rdata).subspan(kFixedSize))};
  }
  return std::nullopt;
}

}  // namespace mutua::dnssec
