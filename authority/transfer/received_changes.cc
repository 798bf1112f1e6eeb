#include "authority/transfer/received_changes.h"

#include <algorithm>
#include <map>
#include <utility>

#include "authority/dnssec/zone_digest.h"

namespace mutua::authority {
namespace {

using wire::RRType;
using Place = std::pair<wire::Name, RRType>;

// RRSIGs have the TTL of what they cover, each its own (ttl_of()).
std::uint32_t rrset_ttl(const wire::Record& record) {
  return record.type == RRType::rrsig ? 0 : record.ttl;
}

// A primary that sends an RRset with several TTLs breaks RFC 2181 section 5.2; the last one counts.
std::vector<OwnedRRset> rrsets_of(std::vector<wire::Record> records) {
  std::map<Place, RRset> by_place;
  for (wire::Record& record : records) {
    RRset& rrset = by_place[{record.owner, record.type}];
    rrset.type = record.type;
    rrset.ttl = rrset_ttl(record);
    rrset.rdatas.push_back(std::move(record.rdata));
  }
  std::vector<OwnedRRset> rrsets;
  rrsets.reserve(by_place.size());
  for (auto& [place, rrset] : by_place) {
    normalize(rrset);
    rrsets.push_back({place.first, std::move(rrset)});
  }
  return rrsets;
}

// What leads from one version to another. O(zone).
ChangeSet difference(const ZoneVersion* from, const ZoneVersion& to) {
  ChangeSet change{from ? from->serial() : 0, to.serial(), {}};
  to.for_each([&](const wire::Name& owner, const RRset& rrset) {
    const RRset* before = from ? from->find(owner, rrset.type) : nullptr;
    if (before && *before == rrset) return;
    change.changes.push_back(
        {owner, rrset.type, before ? std::optional(*before) : std::nullopt, rrset});
  });
  if (!from) return change;
  from->for_each([&](const wire::Name& owner, const RRset& rrset) {
    if (!to.find(owner, rrset.type))
      change.changes.push_back({owner, rrset.type, rrset, std::nullopt});
  });
  return change;
}

// False where it is not there.
bool remove_from(RRset& rrset, const wire::Record& record) {
  auto at = std::find(rrset.rdatas.begin(), rrset.rdatas.end(), record.rdata);
  if (at == rrset.rdatas.end()) {  // perhaps with other letters
    const Bytes canonical = wire::canonical_rdata(record.type, record.rdata);
    at = std::find_if(rrset.rdatas.begin(), rrset.rdatas.end(), [&](const Bytes& one) {
      return wire::canonical_rdata(record.type, one) == canonical;
    });
  }
  if (at == rrset.rdatas.end()) return false;
  rrset.rdatas.erase(at);
  return true;
}

// One step of an IXFR on top of a version.
class Step {
 public:
  explicit Step(const ZoneVersion& base) : base_(base) {}

  Result<void> remove(const wire::Record& record) {
    std::optional<RRset>& rrset = edit(record.owner, record.type);
    if (!rrset || !remove_from(*rrset, record))
      return Error("a difference removes " + record.owner.to_text() + " " + to_text(record.type) +
                   ", which is not there");
    if (rrset->rdatas.empty()) rrset.reset();
    return {};
  }

  void add(wire::Record record) {
    std::optional<RRset>& rrset = edit(record.owner, record.type);
    if (!rrset) rrset = RRset{record.type, 0, {}};
    rrset->ttl = rrset_ttl(record);
    rrset->rdatas.push_back(std::move(record.rdata));
  }

  ChangeSet finish(std::uint32_t to) {
    ChangeSet change{base_.serial(), to, {}};
    for (auto& [place, rrset] : edited_) {
      if (rrset) normalize(*rrset);
      const RRset* before = base_.find(place.first, place.second);
      if (before ? rrset && *rrset == *before : !rrset) continue;
      change.changes.push_back({place.first, place.second,
                                before ? std::optional(*before) : std::nullopt, std::move(rrset)});
    }
    return change;
  }

 private:
  std::optional<RRset>& edit(const wire::Name& owner, RRType type) {
    const auto [at, is_new] = edited_.try_emplace({owner, type});
    if (is_new)
      if (const RRset* present = base_.find(owner, type)) at->second = *present;
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
    followed.version = TRY(ZoneVersion::create(apex, rrsets_of(std::exchange(whole->records, {}))));
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
