#include "authority/dnssec/zone_digest.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "trust/digest.h"
#include "wire/message.h"
#include "wire/rdata.h"

namespace mutua::authority {
namespace {

using wire::RRType;

constexpr std::uint8_t kSimpleScheme = 1;
constexpr std::uint8_t kSha384 = 1;
constexpr std::size_t kFixedSize = 6;  // serial, scheme, algorithm
constexpr std::size_t kEnough = 64 * 1024;

// Every name that owns records, in canonical order. The keys that they are ordered by lie in one
// piece of memory: a comparison is one memcmp.
std::vector<const ZoneNode*> nodes_in_order(const ZoneVersion& version) {
  struct Place {
    std::size_t at, size;
    const ZoneNode* node;
  };
  Bytes keys;
  std::vector<Place> places;
  for (auto nodes = version.nodes(); const ZoneNode* node = nodes.next();) {
    if (node->rrsets().empty()) continue;
    const OrderKey key{FoldedName(node->owner())};
    places.push_back({keys.size(), key.octets().size(), node});
    append(keys, key.octets());
  }
  std::sort(places.begin(), places.end(), [&](const Place& a, const Place& b) {
    const int order = std::memcmp(keys.data() + a.at, keys.data() + b.at, std::min(a.size, b.size));
    return order != 0 ? order < 0 : a.size < b.size;
  });
  std::vector<const ZoneNode*> ordered;
  ordered.reserve(places.size());
  for (const Place& place : places) ordered.push_back(place.node);
  return ordered;
}

bool is_excluded(const RRset& rrset, BytesView rdata, bool at_apex) {
  if (!at_apex) return false;
  if (rrset.type == RRType::zonemd) return true;
  return rrset.type == RRType::rrsig && rdata.size() >= 2 &&
         static_cast<RRType>(load_u16(rdata.data())) == RRType::zonemd;
}

void append_record(Bytes& out, BytesView owner, const RRset& rrset, const Bytes& rdata) {
  append(out, owner);
  append_u16(out, static_cast<std::uint16_t>(rrset.type));
  append_u16(out, static_cast<std::uint16_t>(wire::RRClass::in));
  append_u32(out, ttl_of(rrset, rdata));
  const Bytes canonical = wire::canonical_rdata(rrset.type, rdata);
  append_u16(out, static_cast<std::uint16_t>(canonical.size()));
  append(out, canonical);
}

}  // namespace

Bytes zone_digest(const ZoneVersion& version) {
  trust::Sha384 hash;
  Bytes pending;
  pending.reserve(kEnough + 2 * wire::kLargestMessage);
  for (const ZoneNode* node : nodes_in_order(version)) {
    const bool at_apex = node->owner() == version.apex();
    for (const RRset& rrset : node->rrsets()) {  // sorted by type, each in canonical order
      for (const Bytes& rdata : rrset.rdatas) {
        if (is_excluded(rrset, rdata, at_apex)) continue;
        append_record(pending, node->folded_owner(), rrset, rdata);
        if (pending.size() < kEnough) continue;
        hash.update(pending);
        pending.clear();
      }
    }
  }
  hash.update(pending);
  return hash.finish();
}

RRset make_zonemd(const ZoneVersion& version, BytesView digest) {
  Bytes rdata;
  append_u32(rdata, version.serial());
  append_u8(rdata, kSimpleScheme);
  append_u8(rdata, kSha384);
  append(rdata, digest);
  const RRset* soa = version.find(version.apex(), RRType::soa);
  return {RRType::zonemd, soa->ttl, {std::move(rdata)}};
}

DigestCheck check_zonemd(const ZoneVersion& version) {
  const RRset* zonemd = version.find(version.apex(), RRType::zonemd);
  if (!zonemd) return DigestCheck::absent;
  for (const Bytes& rdata : zonemd->rdatas) {
    if (rdata.size() != kFixedSize + trust::Sha384::kSize || rdata[4] != kSimpleScheme ||
        rdata[5] != kSha384)
      continue;
    const bool is_good = load_u32(rdata.data()) == version.serial() &&
                         zone_digest(version) == to_bytes(BytesView(rdata).subspan(kFixedSize));
    return is_good ? DigestCheck::good : DigestCheck::wrong;
  }
  return DigestCheck::absent;
}

}  // namespace mutua::authority
