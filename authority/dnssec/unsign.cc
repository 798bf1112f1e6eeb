#include "authority/dnssec/unsign.h"

namespace mutua::authority {
namespace {

using wire::RRType;

bool is_of_signed_zone(RRType type) {
  switch (type) {
    case RRType::rrsig:
    case RRType::nsec:
    case RRType::nsec3:
    case RRType::nsec3param:
    case RRType::dnskey:
    case RRType::cds:
    case RRType::cdnskey:
      return true;
    default:
      return false;
  }
}

}  // namespace

bool has_dnssec_records(const ZoneVersion& version) {
  return version.find(version.apex(), RRType::dnskey) || !version.nsec_owners().empty() ||
         version.find(version.apex(), RRType::rrsig);
}

std::vector<RRsetChange> remove_dnssec_records(const ZoneVersion& version) {
  std::vector<RRsetChange> changes;
  version.for_each([&](const wire::Name& owner, const RRset& rrset) {
    if (is_of_signed_zone(rrset.type)) changes.push_back({owner, rrset.type, rrset, std::nullopt});
  });
  return changes;
}

}  // namespace mutua::authority
