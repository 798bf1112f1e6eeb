#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "authority/dnssec/rrsig.h"
#include "authority/dnssec/signature_schedule.h"
#include "authority/dnssec/zone_key.h"
#include "authority/zone/change_set.h"
#include "authority/zone/zone_version.h"

namespace mutua::authority {

// Keeps a zone signed: DNSKEY, a chain of NSEC and an RRSIG for each RRset that the zone speaks for.
// Costs O(change), but for a zone cut that comes or goes: the names below it change hands, and are
// searched for in the whole zone. Not thread-safe; belongs to the writer.
class Signer {
 public:
  Signer(ZoneKey key, SignatureTimes times) : key_(std::move(key)), times_(times) {}

  // The changes that make `next` a signed version, where `change` led from `base`, which was signed
  // (or not at all), to it. Names of `look_at`, too, are looked through for signatures to renew.
  std::vector<RRsetChange> sign(const ZoneVersion& base, const ZoneVersion& next,
                                const ChangeSet& change, const std::vector<wire::Name>& look_at,
                                WallTime now);

  // What is to be looked at: everything, at the start; afterwards what is due.
  std::vector<wire::Name> all_names(const ZoneVersion& version) const;
  std::optional<WallTime> next_due() const { return schedule_.next_due(); }
  std::vector<wire::Name> take_due(WallTime now, std::size_t most) {
    return schedule_.take_due(now, most);
  }
  // Takes note of the signatures of a version that has nothing to do.
  void watch(const ZoneVersion& version, WallTime now);
  // The same for the signatures that another authority has made.
  void watch(const ChangeSet& change, WallTime now);
  // Whether anything is missing or due: then everything is to be looked at.
  bool has_work(const ZoneVersion& version, WallTime now) const;

 private:
  // The types at each name whose signatures no longer hold.
  using Touched = std::map<wire::Name, std::set<wire::RRType>>;
  class Changes;

  static Touched touched_by(const ZoneVersion& base, const ZoneVersion& next,
                            const ChangeSet& change, const std::vector<wire::Name>& look_at);
  void put_dnskey(Touched& touched, Changes& changes) const;
  static void renew_nsecs(const ZoneVersion& base, Touched& touched, Changes& changes);
  void renew_signatures(const wire::Name& owner, const std::set<wire::RRType>& changed,
                        WallTime now, Changes& changes);
  void watch(const wire::Name& owner, const RRset& signatures, WallTime now);
  bool may_stay(const SignatureFacts& facts, const RRset& covered, WallTime now) const;
  bool is_complete(const ZoneVersion& version, const wire::Name& owner, WallTime now) const;

  ZoneKey key_;
  SignatureTimes times_;
  SignatureSchedule schedule_;
};

}  // namespace mutua::authority
