#include "authority/dnssec/zone_digest.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/thread_scheduling.h"
#include "dnssec/zone_digest.h"

namespace mutua::authority {
namespace {

using wire::RRType;

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
    if (!node->has_records()) continue;
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

}  // namespace

Bytes zone_digest(const ZoneVersion& version) {
  dnssec::ZoneDigest digest(version.apex());
  for (const ZoneNode* node : nodes_in_order(version)) {
    for (const RRsetView& rrset : node->rrsets())  // sorted by type, each in canonical order
      digest.add(node->owner(), rrset.copy());
    give_way();
  }
  return digest.finish();
}

RRset make_zonemd(const ZoneVersion& version, BytesView digest) {
  const auto soa = version.find(version.apex(), RRType::soa);
  return {RRType::zonemd, soa->ttl, {dnssec::make_zonemd(version.serial(), digest)}};
}

DigestCheck check_zonemd(const ZoneVersion& version) {
  const auto zonemd = version.find(version.apex(), RRType::zonemd);
  const auto stated = zonemd ? dnssec::stated_digest(*zonemd) : std::nullopt;
  if (!stated) return DigestCheck::absent;
  const bool is_good = stated->serial == version.serial() && stated->digest == zone_digest(version);
  return is_good ? DigestCheck::good : DigestCheck::wrong;
}

}  // namespace mutua::authority
