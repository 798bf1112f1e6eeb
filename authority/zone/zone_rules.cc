#include "authority/zone/zone_rules.h"

#include <algorithm>
#include <utility>

#include "wire/rdata.h"

namespace mutua::authority {

using wire::RRType;

Result<void> check_company(const wire::Name& owner, std::span<const RRsetView> rrsets) {
  const auto cname = find_in(rrsets, RRType::cname);
  if (!cname) return {};
  if (cname->size() > 1) return errorf("%s: more than one CNAME", owner.to_text().c_str());
  for (const RRsetView& rrset : rrsets) {
    const RRType type = rrset.type();
    if (type != RRType::cname && type != RRType::rrsig && type != RRType::nsec &&
        type != RRType::nsec3)
      return errorf("%s: %s beside a CNAME", owner.to_text().c_str(), to_text(type).c_str());
  }
  return {};
}

std::size_t cuts_at(const wire::Name& owner, std::span<const RRsetView> rrsets,
                    const wire::Name& apex) {
  return static_cast<std::size_t>(std::ranges::count_if(rrsets, [&](const RRsetView& rrset) {
    return rrset.type() == RRType::dname || (rrset.type() == RRType::ns && owner != apex);
  }));
}

std::set<wire::Name> targets_of(std::span<const RRsetView> rrsets, const wire::Name& apex) {
  std::set<wire::Name> targets;
  for (const RRsetView& rrset : rrsets) {
    for (const BytesView rdata : rrset) {
      auto target = wire::target_of(rrset.type(), rdata);
      if (target && target->is_at_or_below(apex)) targets.insert(*std::move(target));
    }
  }
  return targets;
}

}  // namespace mutua::authority
