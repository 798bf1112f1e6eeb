#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "authority/dnssec/key_set.h"
#include "authority/dnssec/rrsig.h"
#include "authority/dnssec/signature_schedule.h"
#include "authority/dnssec/signer_changes.h"
#include "authority/zone/change_set.h"
#include "authority/zone/zone_version.h"

namespace mutua::authority {

// Keeps a zone signed: the key RRsets, a chain of NSEC or of NSEC3 and the RRSIGs of each RRset
// that the zone speaks for. Costs O(change), but for a zone cut that comes or goes: the names below
// it change hands, and are searched for in the whole zone. Signs on all processors where there is
// much to sign. Not thread-safe; belongs to the writer.
//
// Large work is done in portions between updates: what look_through() finds to be done waits in a
// backlog that take_due() hands out in the order of the names. A zone that was never signed gets
// its DNSKEY with the last portion, and passes for unsigned until then (ZoneVersion::is_signed()).
//
// A zone with the other chain gets this one beside it, then shows it by its NSEC3PARAM, or none (RFC
// 5155 sections 10.4 and 10.5), then loses the other. Both are kept through every change until then;
// what stands in the zone says how far it is, so that a crash or another mind costs nothing.
class Signer {
 public:
  // `denial`: the chain that the zone has or shall have; not none.
  Signer(KeySet keys, SignatureTimes times, Denial denial = Denial::nsec)
      : keys_(std::move(keys)), times_(times), denial_(denial) {}

  // False where a chain counts that is not kept here: one of NSEC3 with salt or iterations.
  static bool can_take_over(const ZoneVersion& version);

  // The changes that make `next` a signed version, where `change` led from `base`, which this
  // signer left so, to it. Names of `look_at`, too, are looked through for signatures to renew.
  std::vector<RRsetChange> sign(const ZoneVersion& base, const ZoneVersion& next,
                                const ChangeSet& change, const std::vector<wire::Name>& look_at,
                                WallTime now);

  // Other keys, or other duties of the same. To be followed by look_through().
  void set_keys(KeySet keys) { keys_ = std::move(keys); }
  // Finds in the whole version what is missing, wrong or due, and when the rest will be.
  void look_through(const ZoneVersion& version, WallTime now);

  // While there is a backlog, the next portion is due now.
  bool has_backlog() const {
    return keys_pending_ || parameters_pending_ || is_to_look_again_ || !is_through();
  }
  struct Progress {
    std::size_t done, total;  // names
  };
  Progress progress() const { return {backlog_at_, backlog_.size()}; }
  std::optional<WallTime> next_due() const { return schedule_.next_due(); }
  // What is to be looked at in the next sign().
  std::vector<wire::Name> take_due(const ZoneVersion& version, WallTime now, std::size_t most);
  // Takes note of the signatures that another authority has made.
  void watch(const ChangeSet& change, WallTime now);

 private:
  struct Renewal;
  struct Task;

  static TouchedTypes touched_by(const ZoneVersion& base, const ZoneVersion& next,
                                 const ChangeSet& change, const std::vector<wire::Name>& look_at);
  void put_keys(TouchedTypes& touched, SignerChanges& changes);
  bool put_parameters(TouchedTypes& touched, SignerChanges& changes);
  void keep_chains(const ZoneVersion& base, Denial counts, TouchedTypes& touched,
                   SignerChanges& changes) const;
  void renew_signatures(const TouchedTypes& touched, WallTime now, SignerChanges& changes);
  Renewal plan(const wire::Name& owner, const std::set<wire::RRType>& changed, WallTime now,
               const SignerChanges& changes, std::vector<Task>& tasks);
  void watch(const wire::Name& owner, const RRsetView& signatures, WallTime now);
  static RRset parameters();
  bool keys_differ(const ZoneVersion& version) const;
  bool parameters_differ(const ZoneVersion& version) const;
  bool is_through() const { return backlog_at_ == backlog_.size(); }
  std::vector<wire::Name> take_portion(const ZoneVersion& version, WallTime now, std::size_t most);
  static bool is_in_chain(const ZoneVersion& version, const ZoneNode& node, Denial chain);
  bool is_in_chains(const ZoneVersion& version, const ZoneNode& node) const;
  bool may_stay(const SignatureFacts& facts, const RRsetView& covered, WallTime now) const;
  bool is_complete(const ZoneVersion& version, const ZoneNode& node, WallTime now) const;

  KeySet keys_;
  SignatureTimes times_;
  Denial denial_;
  SignatureSchedule schedule_;
  std::vector<wire::Name> backlog_;
  std::size_t backlog_at_ = 0;
  bool keys_pending_ = false;        // the key RRsets of the zone are not those of the keys
  bool parameters_pending_ = false;  // its NSEC3PARAM is not what `denial_` asks for
  bool is_chain_whole_ = false;      // as the last look through the zone has found it
  bool is_to_look_again_ = false;    // the other chain does not count any more
};

}  // namespace mutua::authority
