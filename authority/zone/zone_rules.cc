#include "authority/zone/zone_rules.h"

#include <algorithm>
#include <utility>

#include "wire/rdata.h"

namespace mutua::authority {

using wire::RRType;

Result<void> check_company(const wire::Name& owner, std::span<const RRset> rrsets) {
  const auto cname = std::find_if(rrsets.begin(), rrsets.end(),
                                  [](const RRset& rrset) { return rrset.type == RRType::cname; });
  if (cname == rrsets.end()) return {};
  if (cname->rdatas.size() > 1) return errorf("%s: more than one CNAME", owner.to_text().c_str());
  for (const RRset& rrset : rrsets) {
    if (rrset.type != RRType::cname && rrset.type != RRType::rrsig && rrset.type != RRType::nsec &&
        rrset.type != RRType::nsec3)
      return errorf("%s: %s beside a CNAME", owner.to_text().c_str(), to_text(rrset.type).c_str());
  }
  return {};
}

std::size_t cuts_at(const wire::Name& owner, std::span<const RRset> rrsets,
                    const wire::Name& apex) {
  return static_cast<std::size_t>(std::ranges::count_if(rrsets, [&](const RRset& rrset) {
    return rrset.type == RRType::dname || (rrset.type == RRType::ns && owner != apex);
  }));
}

std::set<wire::Name> targets_of(std::span<const RRset> rrsets, const wire::Name& apex) {
  std::set<wire::Name> targets;
  for (const RRset& rrset : rrsets) {
    for (const Bytes& rdata : rrset.rdatas) {
      auto target = wire::target_of(rrset.type, rdata);
      if (target && target->is_at_or_below(apex)) targets.insert(*std::move(target));
    }
  }
  return targets;
}

}  // namespace mutua::authority
