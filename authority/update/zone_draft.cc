#include "authority/update/zone_draft.h"

#include <algorithm>
#include <utility>

#include "wire/rdata.h"

namespace mutua::authority {

using wire::RRType;

bool same_rdata(RRType type, const Bytes& a, const Bytes& b) {
  return a == b ||
         (a.size() == b.size() && wire::canonical_rdata(type, a) == wire::canonical_rdata(type, b));
}

std::optional<RRset> ZoneDraft::find(const wire::Name& owner, RRType type) const {
  const auto edited = edited_.find({owner, type});
  return edited == edited_.end() ? version_.find(owner, type) : edited->second;
}

std::vector<RRType> ZoneDraft::types_at(const wire::Name& owner) const {
  std::vector<RRType> types;
  if (const ZoneNode* node = version_.node(owner)) {
    for (const RRsetView& rrset : node->rrsets()) {
      if (find(owner, rrset.type())) types.push_back(rrset.type());
    }
  }
  // All edits of one owner lie side by side.
  for (auto edited = edited_.lower_bound({owner, RRType{}});
       edited != edited_.end() && edited->first.first == owner; ++edited) {
    if (edited->second && !version_.find(owner, edited->first.second)) {
      types.push_back(edited->first.second);
    }
  }
  return types;
}

std::optional<RRset>& ZoneDraft::edit(const wire::Name& owner, RRType type) {
  const auto [place, is_new] = edited_.try_emplace({owner, type});
  if (is_new) place->second = version_.find(owner, type);
  return place->second;
}

void ZoneDraft::add(const wire::Name& owner, RRType type, std::uint32_t ttl, const Bytes& rdata) {
  std::optional<RRset>& rrset = edit(owner, type);
  if (!rrset) rrset = RRset{type, ttl, {}};
  rrset->ttl = ttl;
  for (Bytes& present : rrset->rdatas) {
    if (same_rdata(type, present, rdata)) return;
  }
  rrset->rdatas.push_back(rdata);
}

void ZoneDraft::replace(const wire::Name& owner, RRset rrset) {
  const RRType type = rrset.type;
  edit(owner, type) = std::move(rrset);
}

void ZoneDraft::remove(const wire::Name& owner, RRType type) { edit(owner, type).reset(); }

void ZoneDraft::remove_rdata(const wire::Name& owner, RRType type, const Bytes& rdata) {
  std::optional<RRset>& rrset = edit(owner, type);
  if (!rrset) return;
  std::erase_if(rrset->rdatas,
                [&](const Bytes& present) { return same_rdata(type, present, rdata); });
  if (rrset->rdatas.empty()) rrset.reset();
}

ChangeSet ZoneDraft::finish() {
  ChangeSet change{version_.serial(), version_.serial(), {}};
  for (auto& [place, rrset] : edited_) {
    if (rrset) normalize(*rrset);
    auto before = version_.find(place.first, place.second);
    if (before == rrset) continue;
    change.changes.push_back({place.first, place.second, std::move(before), rrset});
  }
  if (!change.empty()) raise_serial_in(change);
  return change;
}

void ZoneDraft::raise_serial() {
  const wire::Name& apex = version_.apex();
  const auto present = find(apex, RRType::soa);
  auto soa = wire::parse_soa(present->rdatas.front());
  BASE_ASSERT(soa.ok());
  ++soa->serial;
  replace(apex, {RRType::soa, present->ttl, {wire::make_soa(*soa)}});
}

void ZoneDraft::raise_serial_in(ChangeSet& change) const {
  const wire::Name& apex = version_.apex();
  const auto present = find(apex, RRType::soa);
  auto soa = wire::parse_soa(present->rdatas.front());
  BASE_ASSERT(soa.ok());
  if (!wire::serial_after(soa->serial, change.from)) {
    soa->serial = change.from + 1;
    RRset raised{RRType::soa, present->ttl, {wire::make_soa(*soa)}};
    const auto listed = std::ranges::find_if(
        change.changes, [](const RRsetChange& one) { return one.type == RRType::soa; });
    if (listed != change.changes.end()) {
      listed->after = std::move(raised);
    } else {
      change.changes.push_back(
          {apex, RRType::soa, *version_.find(apex, RRType::soa), std::move(raised)});
    }
  }
  change.to = soa->serial;
}

}  // namespace mutua::authority
