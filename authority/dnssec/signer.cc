#include "authority/dnssec/signer.h"

#include <algorithm>
#include <utility>

#include "authority/dnssec/chain_upkeep.h"
#include "authority/dnssec/nsec_chain.h"
#include "base/parallel.h"
#include "dnssec/nsec3.h"
#include "trust/random.h"

namespace mutua::authority {
namespace {

using wire::RRType;

bool moves_cuts(const RRsetChange& change, const wire::Name& apex) {
  const bool cuts =
      change.type == RRType::dname || (change.type == RRType::ns && change.owner != apex);
  return cuts && change.before.has_value() != change.after.has_value();
}

// Whether an RRset at a name gets signatures (RFC 4035 section 2.2).
bool is_signed_type(RRType type, Authority authority) {
  if (type == RRType::nsec3) return true;  // stands where no other name need be
  if (type == RRType::rrsig || authority == Authority::none) return false;
  return authority == Authority::full || type == RRType::nsec || type == RRType::ds;
}

}  // namespace

// One signature to be made, and whose renewal it belongs to.
struct Signer::Task {
  std::size_t renewal;
  RRsetView rrset;
  const ZoneKey* key;
  WallTime end;
  Bytes rdata;
};

// The signatures of one name: those that stay, then those that are made.
struct Signer::Renewal {
  const wire::Name* owner = nullptr;
  RRset signatures{wire::RRType::rrsig, 0, {}};
  std::optional<WallTime> first_end;

  void note_end(WallTime end) { first_end = first_end ? std::min(*first_end, end) : end; }
};

std::vector<RRsetChange> Signer::sign(const ZoneVersion& base, const ZoneVersion& next,
                                      const ChangeSet& change,
                                      const std::vector<wire::Name>& look_at, WallTime now) {
  SignerChanges changes(next);
  TouchedTypes touched = touched_by(base, next, change, look_at);
  put_keys(touched, changes);
  const bool is_switched = put_parameters(touched, changes);
  keep_chains(base, is_switched ? denial_ : base.denial(), touched, changes);
  renew_signatures(touched, now, changes);
  return changes.take();
}

TouchedTypes Signer::touched_by(const ZoneVersion& base, const ZoneVersion& next,
                                const ChangeSet& change, const std::vector<wire::Name>& look_at) {
  TouchedTypes touched;
  for (const wire::Name& name : look_at) touched[name];
  for (const RRsetChange& one : change.changes) touched[one.owner].insert(one.type);
  for (const RRsetChange& one : change.changes) {
    if (!moves_cuts(one, next.apex())) continue;
    for (const ZoneVersion* version : {&base, &next})
      version->for_each([&](const wire::Name& owner, const RRsetView& rrset) {
        if (owner.is_at_or_below(one.owner)) touched[owner].insert(rrset.type());
      });
  }
  return touched;
}

// Only when they are due, not at each change of the apex: between two writers of one zone, the one
// that heard of a new key first has the say.
void Signer::put_keys(TouchedTypes& touched, SignerChanges& changes) {
  const wire::Name& apex = changes.version().apex();
  const bool is_signed = changes.version().find(apex, RRType::dnskey).has_value();
  if (!keys_pending_ || (!is_signed && !is_through())) return;
  for (RRset& rrset : keys_.key_rrsets(apex)) {
    const RRType type = rrset.type;
    if (changes.put(apex, type, std::move(rrset))) touched[apex].insert(type);
  }
  touched[apex];
  keys_pending_ = false;
}

// What says which chain counts (RFC 5155 sections 10.4 and 10.5): NSEC3PARAM comes when that of
// NSEC3 is there whole, and goes when that of NSEC is. A zone that was never signed gets it with
// its keys. True where the zone has it from now on, or has lost it.
bool Signer::put_parameters(TouchedTypes& touched, SignerChanges& changes) {
  const wire::Name& apex = changes.version().apex();
  const bool was_signed = changes.version().find(apex, RRType::dnskey).has_value();
  if (!parameters_pending_ || !is_through() || (was_signed && !is_chain_whole_)) return false;
  parameters_pending_ = false;
  std::optional<RRset> wanted;
  if (denial_ == Denial::nsec3) wanted = parameters();
  if (!changes.put(apex, RRType::nsec3param, std::move(wanted))) return false;
  touched[apex].insert(RRType::nsec3param);
  is_to_look_again_ = was_signed;  // the other chain may go now
  return true;
}

// The other chain is kept as well for as long as it counts.
void Signer::keep_chains(const ZoneVersion& base, Denial counts, TouchedTypes& touched,
                         SignerChanges& changes) const {
  if (denial_ == Denial::nsec || counts == Denial::nsec)
    keep_nsecs(base, touched, changes);
  else if (!base.nsec_owners().empty())
    drop_nsecs(base, touched, changes);
  if (denial_ == Denial::nsec3 || counts == Denial::nsec3)
    keep_nsec3s(base, touched, changes);
  else if (!base.nsec3_owners().empty())
    drop_nsec3s(base, touched, changes);
}

void Signer::renew_signatures(const TouchedTypes& touched, WallTime now, SignerChanges& changes) {
  std::vector<Renewal> renewals;
  std::vector<Task> tasks;  // point into `changes`, which is left alone meanwhile
  for (const auto& [owner, types] : touched) {
    const std::size_t before = tasks.size();
    renewals.push_back(plan(owner, types, now, changes, tasks));
    for (std::size_t i = before; i < tasks.size(); ++i) tasks[i].renewal = renewals.size() - 1;
  }
  const wire::Name& apex = changes.version().apex();
  in_parallel(tasks.size(), [&](std::size_t at) {
    Task& task = tasks[at];
    task.rdata = make_rrsig(apex, *renewals[task.renewal].owner, task.rrset.copy(), *task.key,
                            now - times_.skew, task.end);
  });
  for (Task& task : tasks) {
    renewals[task.renewal].signatures.rdatas.push_back(std::move(task.rdata));
    renewals[task.renewal].note_end(task.end);
  }
  for (Renewal& renewal : renewals) {
    if (renewal.first_end) schedule_.add(*renewal.owner, *renewal.first_end - times_.renewal);
    RRset& made = renewal.signatures;
    changes.put(*renewal.owner, RRType::rrsig,
                made.rdatas.empty() ? std::nullopt : std::optional(std::move(made)));
  }
}

// What may stay at a name, and what is to be made.
Signer::Renewal Signer::plan(const wire::Name& owner, const std::set<RRType>& changed, WallTime now,
                             const SignerChanges& changes, std::vector<Task>& tasks) {
  const ZoneVersion& next = changes.version();
  const Authority authority = authority_over(next, owner);
  auto wanted = changes.rrsets_at(owner);
  std::erase_if(wanted, [&](const auto& place) { return !is_signed_type(place.first, authority); });

  Renewal renewal;
  renewal.owner = &owner;
  std::set<std::pair<RRType, std::uint16_t>> kept;  // by key tag: no two keys of ours share one
  if (const auto present = next.find(owner, RRType::rrsig)) {
    for (const Bytes& rdata : present->rdatas) {
      const auto facts = read_rrsig(rdata, now);
      const auto covered = facts ? wanted.find(facts->covered) : wanted.end();
      if (covered == wanted.end() || changed.contains(facts->covered) ||
          !may_stay(*facts, covered->second, now) ||
          !kept.emplace(facts->covered, facts->key_tag).second)
        continue;
      renewal.note_end(facts->expiration);
      renewal.signatures.rdatas.push_back(rdata);
    }
  }
  for (const auto& [type, rrset] : wanted) {
    for (const ZoneKey* key : keys_.signers_of(type)) {
      if (kept.contains({type, key->tag()})) continue;
      const std::chrono::seconds early(
          trust::random_u32() %
          std::max<std::uint32_t>(1, static_cast<std::uint32_t>(times_.jitter.count())));
      tasks.push_back({0, rrset, key, now + times_.validity - early, {}});
    }
  }
  return renewal;
}

bool Signer::may_stay(const SignatureFacts& facts, const RRsetView& covered, WallTime now) const {
  const auto signers = keys_.signers_of(covered.type());
  return facts.original_ttl == covered.ttl() && facts.expiration - times_.renewal > now &&
         std::ranges::any_of(signers, [&](const ZoneKey* key) {
           return facts.algorithm == key->algorithm() && facts.key_tag == key->tag();
         });
}

void Signer::look_through(const ZoneVersion& version, WallTime now) {
  schedule_.clear();
  backlog_.clear();
  backlog_at_ = 0;
  keys_pending_ = keys_differ(version);
  parameters_pending_ = parameters_differ(version);
  is_chain_whole_ = is_to_look_again_ = false;
  for (auto nodes = version.nodes(); const ZoneNode* node = nodes.next();) {
    if (!node->has_records() && denial_ == Denial::nsec) continue;  // not in that chain
    if (!is_complete(version, *node, now)) {
      backlog_.push_back(node->owner());
      continue;
    }
    if (const auto signatures = node->find(RRType::rrsig)) watch(node->owner(), *signatures, now);
  }
  // In their order, so that a portion of a new chain touches one NSEC more than it makes.
  std::sort(backlog_.begin(), backlog_.end());
}

void Signer::watch(const ChangeSet& change, WallTime now) {
  for (const RRsetChange& one : change.changes) {
    if (one.type == RRType::rrsig && one.after) watch(one.owner, *one.after, now);
    if (one.type == RRType::nsec3param) is_to_look_again_ = true;
  }
}

void Signer::watch(const wire::Name& owner, const RRsetView& signatures, WallTime now) {
  std::optional<WallTime> first_end;
  for (const BytesView rdata : signatures)
    if (const auto facts = read_rrsig(rdata, now))
      first_end = first_end ? std::min(*first_end, facts->expiration) : facts->expiration;
  if (first_end) schedule_.add(owner, *first_end - times_.renewal);
}

RRset Signer::parameters() { return {RRType::nsec3param, 0, {dnssec::make_nsec3param()}}; }

bool Signer::can_take_over(const ZoneVersion& version) {
  const auto present = version.find(version.apex(), RRType::nsec3param);
  return !present || present->rdatas == parameters().rdatas;
}

bool Signer::keys_differ(const ZoneVersion& version) const {
  const auto wanted = keys_.key_rrsets(version.apex());
  return std::ranges::any_of(wanted, [&](const RRset& rrset) {
    const auto present = version.find(version.apex(), rrset.type);
    return !present || *present != rrset;
  });
}

bool Signer::parameters_differ(const ZoneVersion& version) const {
  const auto present = version.find(version.apex(), RRType::nsec3param);
  return denial_ == Denial::nsec3 ? !present || *present != parameters() : present.has_value();
}

std::vector<wire::Name> Signer::take_due(const ZoneVersion& version, WallTime now,
                                         std::size_t most) {
  if (is_to_look_again_) look_through(version, now);
  if (!has_backlog()) {
    backlog_.clear();
    backlog_at_ = 0;
    return schedule_.take_due(now, most);
  }
  auto portion = take_portion(version, now, most);
  if (portion.empty() && parameters_pending_) {
    // Whatever has happened meanwhile, nothing may be missing from the chain that is to count.
    look_through(version, now);
    is_chain_whole_ = backlog_.empty();
    portion = take_portion(version, now, most);
  }
  keys_pending_ = keys_pending_ && keys_differ(version);
  if (portion.empty() && (keys_pending_ || parameters_pending_)) portion.push_back(version.apex());
  return portion;
}

// What another authority has signed meanwhile is passed over.
std::vector<wire::Name> Signer::take_portion(const ZoneVersion& version, WallTime now,
                                             std::size_t most) {
  std::vector<wire::Name> portion;
  while (portion.size() < most && backlog_at_ < backlog_.size()) {
    const wire::Name& name = backlog_[backlog_at_++];
    const ZoneNode* node = version.node(name);
    if (node && !is_complete(version, *node, now)) portion.push_back(name);
  }
  return portion;
}

// Whether its NSEC or NSEC3 is there, or not, as it ought to be.
bool Signer::is_in_chain(const ZoneVersion& version, const ZoneNode& node, Denial chain) {
  const wire::Name name = node.owner();
  if (chain == Denial::nsec)
    return (node.ready(RRType::nsec) != nullptr) ==
           (authority_over(version, name) != Authority::none);
  const auto owner = nsec3_owner(version.apex(), name);
  return owner.ok() && version.nsec3_owners().contains(*owner) == has_nsec3(version, name);
}

// In the chain that the zone shall have; and in the other while that counts, but not longer.
bool Signer::is_in_chains(const ZoneVersion& version, const ZoneNode& node) const {
  if (!is_in_chain(version, node, denial_)) return false;
  const Denial other = denial_ == Denial::nsec ? Denial::nsec3 : Denial::nsec;
  if (version.denial() == other) return is_in_chain(version, node, other);
  return !node.ready(other == Denial::nsec ? RRType::nsec : RRType::nsec3);
}

bool Signer::is_complete(const ZoneVersion& version, const ZoneNode& node, WallTime now) const {
  const Authority authority = authority_over(version, node.owner());
  if (!is_in_chains(version, node)) return false;
  const auto rrsets = node.rrsets();
  const bool is_to_be_signed = std::ranges::any_of(
      rrsets, [&](const RRsetView& rrset) { return is_signed_type(rrset.type(), authority); });
  const auto signatures = node.find(RRType::rrsig);
  if (!is_to_be_signed || !signatures) return !is_to_be_signed && !signatures;
  std::set<std::pair<RRType, std::uint16_t>> good;
  for (const BytesView rdata : *signatures) {
    const auto facts = read_rrsig(rdata, now);
    const auto covered = facts ? node.find(facts->covered) : std::nullopt;
    if (!covered || !may_stay(*facts, *covered, now)) return false;
    good.emplace(facts->covered, facts->key_tag);
  }
  return std::ranges::all_of(rrsets, [&](const RRsetView& rrset) {
    if (!is_signed_type(rrset.type(), authority)) return true;
    const auto signers = keys_.signers_of(rrset.type());
    return std::ranges::all_of(signers, [&](const ZoneKey* key) {
      return good.contains({rrset.type(), key->tag()});
    });
  });
}

}  // namespace mutua::authority
