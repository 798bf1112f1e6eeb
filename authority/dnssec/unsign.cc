#include "authority/dnssec/unsign.h"

namespace mutua::authority {

using wire::RRType;

bool has_dnssec_records(const ZoneVersion& version) {
  return version.find(version.apex(), RRType::dnskey) || !version.nsec_owners().empty() ||
         !version.nsec3_owners().empty() || version.find(version.apex(), RRType::rrsig);
}

std::vector<RRsetChange> remove_dnssec_records(const ZoneVersion& version) {
  std::vector<RRsetChange> changes;
  version.for_each([&](const wire::Name& owner, const RRsetView& rrset) {
    if (wire::is_of_signer(rrset.type()))
      changes.push_back({owner, rrset.type(), rrset.copy(), std::nullopt});
  });
  return changes;
}

}  // namespace mutua::authority
