#include "authority/dnssec/signer.h"

#include <algorithm>
#include <functional>
#include <unordered_map>
#include <utility>

#include "authority/dnssec/nsec_chain.h"
#include "base/parallel.h"
#include "dnssec/nsec.h"
#include "dnssec/nsec3.h"
#include "trust/random.h"

namespace mutua::authority {
namespace {

using wire::RRType;

// RFC 9077 section 3: as that of a negative answer.
std::uint32_t nsec_ttl(const ZoneVersion& version) { return version.negative_soa_rrset().ttl; }

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

// What the signer makes, on top of a version. Finds the RRsets at a name as they will be.
class Signer::Changes {
 public:
  explicit Changes(const ZoneVersion& version) : version_(version) {}

  const ZoneVersion& version() const { return version_; }

  // Puts `after` in the place of what stands at (owner, type). False where that changes nothing.
  // Once for each.
  bool put(const wire::Name& owner, RRType type, std::optional<RRset> after) {
    if (after) normalize(*after);
    const RRset* present = version_.find(owner, type);
    if (present ? after && *after == *present : !after) return false;
    by_owner_[owner].push_back(all_.size());
    all_.push_back(
        {owner, type, present ? std::optional(*present) : std::nullopt, std::move(after)});
    return true;
  }

  // Pointers live until the next put().
  Wanted rrsets_at(const wire::Name& owner) const {
    Wanted found;
    if (const ZoneNode* node = version_.node(owner))
      for (const RRset& rrset : node->rrsets()) found[rrset.type] = &rrset;
    if (const auto made = by_owner_.find(owner); made != by_owner_.end()) {
      for (const std::size_t index : made->second) {
        const RRsetChange& change = all_[index];
        if (change.after)
          found[change.type] = &*change.after;
        else
          found.erase(change.type);
      }
    }
    return found;
  }

  std::vector<RRsetChange> take() { return std::move(all_); }

 private:
  const ZoneVersion& version_;
  std::vector<RRsetChange> all_;
  std::unordered_map<wire::Name, std::vector<std::size_t>> by_owner_;
};

// One signature to be made, and whose renewal it belongs to.
struct Signer::Task {
  std::size_t renewal;
  const RRset* rrset;
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
  Changes changes(next);
  Touched touched = touched_by(base, next, change, look_at);
  put_keys(touched, changes);
  if (denial_ == Denial::nsec3)
    renew_nsec3s(base, touched, changes);
  else
    renew_nsecs(base, touched, changes);
  renew_signatures(touched, now, changes);
  return changes.take();
}

Signer::Touched Signer::touched_by(const ZoneVersion& base, const ZoneVersion& next,
                                   const ChangeSet& change,
                                   const std::vector<wire::Name>& look_at) {
  Touched touched;
  for (const wire::Name& name : look_at) touched[name];
  for (const RRsetChange& one : change.changes) touched[one.owner].insert(one.type);
  for (const RRsetChange& one : change.changes) {
    if (!moves_cuts(one, next.apex())) continue;
    for (const ZoneVersion* version : {&base, &next})
      version->for_each([&](const wire::Name& owner, const RRset& rrset) {
        if (owner.is_at_or_below(one.owner)) touched[owner].insert(rrset.type);
      });
  }
  return touched;
}

// Only when they are due, not at each change of the apex: between two writers of one zone, the one
// that heard of a new key first has the say.
void Signer::put_keys(Touched& touched, Changes& changes) {
  const ZoneVersion& version = changes.version();
  const wire::Name& apex = version.apex();
  const bool is_signed = version.find(apex, RRType::dnskey) != nullptr;
  if (!keys_pending_ || (!is_signed && backlog_at_ < backlog_.size())) return;
  for (RRset& rrset : apex_rrsets(apex)) {
    const RRType type = rrset.type;
    if (changes.put(apex, type, std::move(rrset))) touched[apex].insert(type);
  }
  touched[apex];
  keys_pending_ = false;
}

void Signer::renew_nsecs(const ZoneVersion& base, Touched& touched, Changes& changes) {
  const ZoneVersion& next = changes.version();
  NsecChain chain(base.nsec_owners());
  std::set<wire::Name> renewed, moved;
  for (const auto& [owner, types] : touched) {
    const bool is_in = authority_over(next, owner) != Authority::none;
    const bool was_in = base.nsec_owners().contains(owner);
    if (is_in) renewed.insert(owner);
    if (is_in && !was_in) chain.add(owner);
    if (!is_in && was_in) chain.remove(owner);
    if (is_in != was_in) moved.insert(owner);
    if (!is_in) changes.put(owner, RRType::nsec, std::nullopt);
  }
  for (const wire::Name& name : moved) renewed.insert(chain.previous(name));
  for (const wire::Name& owner : renewed) {
    auto types = nsec_types(next, owner);
    if (owner == next.apex())  // its keys may come with these changes
      for (const auto& [type, rrset] : changes.rrsets_at(owner)) types.insert(type);
    const RRset nsec{RRType::nsec, nsec_ttl(next), {dnssec::make_nsec(types, chain.next(owner))}};
    if (changes.put(owner, RRType::nsec, nsec)) touched[owner].insert(RRType::nsec);
  }
}

// What a change does to the chain of hashes.
struct Signer::HashedChanges {
  explicit HashedChanges(const ZoneVersion& base) : chain(base.nsec3_owners()) {}

  NsecChain chain;
  std::map<wire::Name, wire::Name> renewed;  // the names whose NSEC3s are made, by these' owners
  std::set<wire::Name> moved;                // owners that came or went
  std::vector<wire::Name> removed;
};

// Also of names that come and go with others: empty non-terminals have NSEC3s. From the leaves on,
// because what goes with these changes still stands in the version with its signatures.
Signer::HashedChanges Signer::find_hashed_changes(const ZoneVersion& base, const ZoneVersion& next,
                                                  const Touched& touched) {
  const wire::Name& apex = next.apex();
  std::map<unsigned, std::set<wire::Name>, std::greater<>> by_depth;
  for (const auto& [touched_name, types] : touched)
    for (wire::Name name = touched_name;; name = name.parent())
      if (!by_depth[name.label_count()].insert(name).second || name == apex) break;
  HashedChanges found(base);
  std::map<wire::Name, std::uint32_t> leaving;  // children that go
  for (const auto& [depth, names] : by_depth) {
    for (const wire::Name& name : names) {
      const auto owner = nsec3_owner(apex, name);
      BASE_ASSERT(owner.ok());  // looked at where the configuration was read
      const std::uint32_t without = leaving.contains(name) ? leaving.at(name) : 0;
      if (next.node(name) && name != apex && goes_with_its_signatures(next, name, without))
        ++leaving[name.parent()];
      const bool is_in = has_nsec3(next, name, without);
      const bool was_in = base.nsec3_owners().contains(*owner);
      if (is_in && (!was_in || touched.contains(name))) found.renewed.emplace(*owner, name);
      if (is_in == was_in) continue;
      found.moved.insert(*owner);
      if (is_in) {
        found.chain.add(*owner);
      } else {
        found.chain.remove(*owner);
        found.removed.push_back(*owner);
      }
    }
  }
  return found;
}

void Signer::renew_nsec3s(const ZoneVersion& base, Touched& touched, Changes& changes) {
  const ZoneVersion& next = changes.version();
  HashedChanges found = find_hashed_changes(base, next, touched);
  for (const wire::Name& owner : found.removed) {
    changes.put(owner, RRType::nsec3, std::nullopt);
    touched[owner].insert(RRType::nsec3);
  }
  const auto following = [&](const wire::Name& owner) {
    return dnssec::nsec3_hash_of_label(found.chain.next(owner).label(0));
  };
  const auto put = [&](const wire::Name& owner, RRset nsec3) {
    if (changes.put(owner, RRType::nsec3, std::move(nsec3))) touched[owner].insert(RRType::nsec3);
  };
  for (const auto& [owner, name] : found.renewed) {
    auto types = nsec3_types(next, name);
    if (name == next.apex())  // its keys may come with these changes
      for (const auto& [type, rrset] : changes.rrsets_at(name)) types.insert(type);
    put(owner, {RRType::nsec3, nsec_ttl(next), {dnssec::make_nsec3(types, following(owner))}});
  }
  // Of a neighbour nothing but what follows it is another.
  std::set<wire::Name> neighbours;
  for (const wire::Name& owner : found.moved) neighbours.insert(found.chain.previous(owner));
  for (const wire::Name& owner : neighbours) {
    if (found.renewed.contains(owner)) continue;
    RRset nsec3 = *next.find(owner, RRType::nsec3);
    nsec3.rdatas = {dnssec::with_next(nsec3.rdatas.front(), following(owner))};
    put(owner, std::move(nsec3));
  }
}

void Signer::renew_signatures(const Touched& touched, WallTime now, Changes& changes) {
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
    task.rdata = make_rrsig(apex, *renewals[task.renewal].owner, *task.rrset, *task.key,
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
                             const Changes& changes, std::vector<Task>& tasks) {
  const ZoneVersion& next = changes.version();
  const Authority authority = authority_over(next, owner);
  auto wanted = changes.rrsets_at(owner);
  std::erase_if(wanted, [&](const auto& place) { return !is_signed_type(place.first, authority); });

  Renewal renewal;
  renewal.owner = &owner;
  std::set<std::pair<RRType, std::uint16_t>> kept;  // by key tag: no two keys of ours share one
  if (const RRset* present = next.find(owner, RRType::rrsig)) {
    for (const Bytes& rdata : present->rdatas) {
      const auto facts = read_rrsig(rdata, now);
      const auto covered = facts ? wanted.find(facts->covered) : wanted.end();
      if (covered == wanted.end() || changed.contains(facts->covered) ||
          !may_stay(*facts, *covered->second, now) ||
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

bool Signer::may_stay(const SignatureFacts& facts, const RRset& covered, WallTime now) const {
  const auto signers = keys_.signers_of(covered.type);
  return facts.original_ttl == covered.ttl && facts.expiration - times_.renewal > now &&
         std::ranges::any_of(signers, [&](const ZoneKey* key) {
           return facts.algorithm == key->algorithm() && facts.key_tag == key->tag();
         });
}

void Signer::look_through(const ZoneVersion& version, WallTime now) {
  schedule_.clear();
  backlog_.clear();
  backlog_at_ = 0;
  keys_pending_ = keys_differ(version);
  for (auto nodes = version.nodes(); const ZoneNode* node = nodes.next();) {
    if (node->rrsets().empty()) continue;
    if (!is_complete(version, *node, now)) {
      backlog_.push_back(node->owner());
      continue;
    }
    if (const RRset* signatures = node->find(RRType::rrsig)) watch(node->owner(), *signatures, now);
  }
  // In their order, so that a portion of a new chain touches one NSEC more than it makes.
  std::sort(backlog_.begin(), backlog_.end());
}

void Signer::watch(const ChangeSet& change, WallTime now) {
  for (const RRsetChange& one : change.changes)
    if (one.type == RRType::rrsig && one.after) watch(one.owner, *one.after, now);
}

void Signer::watch(const wire::Name& owner, const RRset& signatures, WallTime now) {
  std::optional<WallTime> first_end;
  for (const Bytes& rdata : signatures.rdatas)
    if (const auto facts = read_rrsig(rdata, now))
      first_end = first_end ? std::min(*first_end, facts->expiration) : facts->expiration;
  if (first_end) schedule_.add(owner, *first_end - times_.renewal);
}

// What comes with the last portion.
std::vector<RRset> Signer::apex_rrsets(const wire::Name& apex) const {
  auto rrsets = keys_.key_rrsets(apex);
  if (denial_ == Denial::nsec3)
    rrsets.push_back({RRType::nsec3param, 0, {dnssec::make_nsec3param()}});
  return rrsets;
}

bool Signer::keys_differ(const ZoneVersion& version) const {
  const auto wanted = apex_rrsets(version.apex());
  return std::ranges::any_of(wanted, [&](const RRset& rrset) {
    const RRset* present = version.find(version.apex(), rrset.type);
    return !present || *present != rrset;
  });
}

std::vector<wire::Name> Signer::take_due(const ZoneVersion& version, WallTime now,
                                         std::size_t most) {
  if (!has_backlog()) {
    backlog_.clear();
    backlog_at_ = 0;
    return schedule_.take_due(now, most);
  }
  // What another authority has signed meanwhile is passed over.
  std::vector<wire::Name> portion;
  while (portion.size() < most && backlog_at_ < backlog_.size()) {
    const wire::Name& name = backlog_[backlog_at_++];
    const ZoneNode* node = version.node(name);
    if (node && !is_complete(version, *node, now)) portion.push_back(name);
  }
  keys_pending_ = keys_pending_ && keys_differ(version);
  if (portion.empty() && keys_pending_) portion.push_back(version.apex());
  return portion;
}

// Whether its NSEC or NSEC3 is there, or not, as it ought to be.
bool Signer::is_in_chain(const ZoneVersion& version, const ZoneNode& node) const {
  const wire::Name name = node.owner();
  if (denial_ == Denial::nsec)
    return (node.find(RRType::nsec) != nullptr) ==
           (authority_over(version, name) != Authority::none);
  const auto owner = nsec3_owner(version.apex(), name);
  return owner.ok() && version.nsec3_owners().contains(*owner) == has_nsec3(version, name);
}

bool Signer::is_complete(const ZoneVersion& version, const ZoneNode& node, WallTime now) const {
  const Authority authority = authority_over(version, node.owner());
  if (!is_in_chain(version, node)) return false;
  const bool is_to_be_signed = std::ranges::any_of(
      node.rrsets(), [&](const RRset& rrset) { return is_signed_type(rrset.type, authority); });
  const RRset* signatures = node.find(RRType::rrsig);
  if (!is_to_be_signed || !signatures) return !is_to_be_signed && !signatures;
  std::set<std::pair<RRType, std::uint16_t>> good;
  for (const Bytes& rdata : signatures->rdatas) {
    const auto facts = read_rrsig(rdata, now);
    const RRset* covered = facts ? node.find(facts->covered) : nullptr;
    if (!covered || !may_stay(*facts, *covered, now)) return false;
    good.emplace(facts->covered, facts->key_tag);
  }
  return std::ranges::all_of(node.rrsets(), [&](const RRset& rrset) {
    if (!is_signed_type(rrset.type, authority)) return true;
    const auto signers = keys_.signers_of(rrset.type);
    return std::ranges::all_of(signers, [&](const ZoneKey* key) {
      return good.contains({rrset.type, key->tag()});
    });
  });
}

}  // namespace mutua::authority
