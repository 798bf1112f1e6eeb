#include "authority/transfer/received_changes.h"

#include <map>
#include <utility>

#include "authority/dnssec/zone_digest.h"
#include "zone_transfer/rrsets.h"

namespace mutua::authority {
namespace {

using wire::RRType;
using zone_transfer::Difference;
using zone_transfer::Differences;
using zone_transfer::Received;
using zone_transfer::WholeZone;
using Place = std::pair<wire::Name, RRType>;

// What leads from one version to another. O(zone).
ChangeSet difference(const ZoneVersion* from, const ZoneVersion& to) {
  ChangeSet change{from ? from->serial() : 0, to.serial(), {}};
  to.for_each([&](const wire::Name& owner, const RRsetView& rrset) {
    auto before = from ? from->find(owner, rrset.type()) : std::nullopt;
    if (before && RRsetView(*before) == rrset) return;
    change.changes.push_back({owner, rrset.type(), std::move(before), rrset.copy()});
  });
  if (!from) return change;
  from->for_each([&](const wire::Name& owner, const RRsetView& rrset) {
    if (!to.find(owner, rrset.type()))
      change.changes.push_back({owner, rrset.type(), rrset.copy(), std::nullopt});
  });
  return change;
}

// One step of an IXFR on top of a version.
class Step {
 public:
  explicit Step(const ZoneVersion& base) : base_(base) {}

  Result<void> remove(const wire::Record& record) {
    std::optional<RRset>& rrset = edit(record.owner, record.type);
    if (!rrset || !zone_transfer::remove_from(*rrset, record))
      return Error("a difference removes " + record.owner.to_text() + " " + to_text(record.type) +
                   ", which is not there");
    if (rrset->rdatas.empty()) rrset.reset();
    return {};
  }

  void add(wire::Record record) {
    std::optional<RRset>& rrset = edit(record.owner, record.type);
    if (!rrset) rrset.emplace();
    zone_transfer::add_to(*rrset, std::move(record));
  }

  ChangeSet finish(std::uint32_t to) {
    ChangeSet change{base_.serial(), to, {}};
    for (auto& [place, rrset] : edited_) {
      if (rrset) normalize(*rrset);
      auto before = base_.find(place.first, place.second);
      if (before == rrset) continue;
      change.changes.push_back({place.first, place.second, std::move(before), std::move(rrset)});
    }
    return change;
  }

 private:
  std::optional<RRset>& edit(const wire::Name& owner, RRType type) {
    const auto [at, is_new] = edited_.try_emplace({owner, type});
    if (is_new) at->second = base_.find(owner, type);
    return at->second;
  }

  const ZoneVersion& base_;
  std::map<Place, std::optional<RRset>> edited_;
};

Result<ChangeSet> apply_step(const ZoneVersion& base, Difference difference) {
  Step step(base);
  TRY(step.remove(difference.old_soa));
  for (const wire::Record& record : difference.removed) TRY(step.remove(record));
  const std::uint32_t to = TRY(wire::parse_soa(difference.new_soa.rdata)).serial;
  step.add(std::move(difference.new_soa));
  for (wire::Record& record : difference.added) step.add(std::move(record));
  return step.finish(to);
}

}  // namespace

Result<Followed> follow(const ZoneVersion* present, const wire::Name& apex, Received received) {
  Followed followed;
  if (auto* whole = std::get_if<WholeZone>(&received)) {
    followed.version =
        TRY(ZoneVersion::create(apex, zone_transfer::rrsets_of(std::exchange(whole->records, {}))));
    followed.changes.push_back(difference(present, *followed.version));
  } else if (auto* differences = std::get_if<Differences>(&received)) {
    if (!present) return Error("differences to a zone that is not here");
    std::shared_ptr<const ZoneVersion> at;
    for (Difference& one : differences->steps) {
      const ZoneVersion& base = at ? *at : *present;
      ChangeSet change = TRY(apply_step(base, std::move(one)));
      at = TRY(base.apply(change));
      followed.changes.push_back(std::move(change));
    }
    followed.version = std::move(at);
  } else {
    return Error("nothing was transferred");
  }
  if (check_zonemd(*followed.version) == DigestCheck::wrong)
    return Error("the zone does not match its ZONEMD");
  return followed;
}

}  // namespace mutua::authority
