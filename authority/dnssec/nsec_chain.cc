#include "authority/dnssec/nsec_chain.h"

#include <algorithm>

#include "base/assert.h"
#include "dnssec/nsec3.h"

namespace mutua::authority {
namespace {

using wire::RRType;

bool is_of_dnssec(RRType type) {
  return type == RRType::nsec || type == RRType::nsec3 || type == RRType::rrsig;
}

bool has_data(const ZoneNode& node) {
  return std::ranges::any_of(node.rrsets(),
                             [](const RRsetView& rrset) { return !is_of_dnssec(rrset.type()); });
}

// Below a zone cut or DNAME.
bool is_occluded(const ZoneVersion& version, const wire::Name& owner) {
  if (owner == version.apex() || version.cut_count() == 0) return false;
  for (wire::Name above = owner.parent(); above != version.apex(); above = above.parent()) {
    const ZoneNode* found = version.node(above);
    if (found && (found->ready(RRType::ns) || found->ready(RRType::dname))) return true;
  }
  return version.find(version.apex(), RRType::dname).has_value();
}

std::optional<wire::Name> name_of(BytesView wire) {
  return wire.empty() ? std::nullopt : std::optional(wire::Name::from_wire(wire).value());
}

}  // namespace

Authority authority_over(const ZoneVersion& version, const wire::Name& owner) {
  const ZoneNode* node = version.node(owner);
  if (!node || !has_data(*node) || is_occluded(version, owner)) return Authority::none;
  return owner != version.apex() && node->ready(RRType::ns) ? Authority::cut : Authority::full;
}

wire::Name NsecChain::next(const wire::Name& name) const {
  const auto first_present = [&](BytesView found) {
    auto candidate = name_of(found);
    while (candidate && removed_.contains(*candidate))
      candidate = name_of(present_.after(OrderKey(FoldedName(*candidate))));
    return candidate;
  };
  auto present = first_present(present_.after(OrderKey(FoldedName(name))));
  const auto added = added_.upper_bound(name);
  if (added != added_.end() && (!present || *added < *present)) return *added;
  if (present) return *std::move(present);
  // Round the end.
  present = first_present(present_.first());
  if (!added_.empty() && (!present || *added_.begin() < *present)) return *added_.begin();
  BASE_ASSERT(present);
  return *std::move(present);
}

std::optional<wire::Name> NsecChain::previous(const wire::Name& name) const {
  const auto last_present = [&](BytesView found) {
    auto candidate = name_of(found);
    while (candidate && removed_.contains(*candidate))
      candidate = name_of(present_.before(OrderKey(FoldedName(*candidate))));
    return candidate;
  };
  auto present = last_present(present_.before(OrderKey(FoldedName(name))));
  const auto above = added_.lower_bound(name);
  if (above != added_.begin() && (!present || *present < *std::prev(above)))
    return *std::prev(above);
  if (present) return present;
  // Round the beginning.
  present = last_present(present_.last());
  if (!added_.empty() && (!present || *present < *added_.rbegin())) return *added_.rbegin();
  return present;
}

bool has_nsec3(const ZoneVersion& version, const wire::Name& owner, std::uint32_t leaving) {
  const ZoneNode* node = version.node(owner);
  return node && (has_data(*node) || node->children() > leaving) && !is_occluded(version, owner);
}

bool goes_with_its_signatures(const ZoneVersion& version, const wire::Name& owner,
                              std::uint32_t leaving) {
  const ZoneNode* node = version.node(owner);
  return !has_data(*node) && !node->ready(RRType::nsec3) && node->children() <= leaving;
}

// RRSIG only where something at the name itself is signed.
std::set<RRType> nsec3_types(const ZoneVersion& version, const wire::Name& owner) {
  const Authority authority = authority_over(version, owner);
  std::set<RRType> types;
  if (authority == Authority::none) return types;
  for (const RRsetView& rrset : version.node(owner)->rrsets()) {
    const RRType type = rrset.type();
    if (is_of_dnssec(type)) continue;
    if (authority == Authority::full || type == RRType::ns || type == RRType::ds)
      types.insert(type);
  }
  if (authority == Authority::full || types.contains(RRType::ds)) types.insert(RRType::rrsig);
  return types;
}

Result<wire::Name> nsec3_owner(const wire::Name& apex, const wire::Name& name) {
  return dnssec::nsec3_owner(apex, dnssec::nsec3_hash(name.lowered().wire(), {}));
}

std::set<RRType> nsec_types(const ZoneVersion& version, const wire::Name& owner) {
  std::set<RRType> types{RRType::nsec, RRType::rrsig};
  const bool is_cut = authority_over(version, owner) == Authority::cut;
  for (const RRsetView& rrset : version.node(owner)->rrsets()) {
    const RRType type = rrset.type();
    if (!is_cut || type == RRType::ns || type == RRType::ds) types.insert(type);
  }
  return types;
}

}  // namespace mutua::authority
