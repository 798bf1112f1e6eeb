#include "authority/dnssec/signer.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "authority/dnssec/nsec_chain.h"
#include "trust/random.h"
#include "wire/rdata.h"

namespace mutua::authority {
namespace {

using wire::RRType;

constexpr std::uint32_t kDnskeyTtl = 3600;  // seconds

// RFC 9077 section 3: as that of a negative answer.
std::uint32_t nsec_ttl(const ZoneVersion& version) { return version.negative_soa_rrset().ttl; }

bool moves_cuts(const RRsetChange& change, const wire::Name& apex) {
  const bool cuts =
      change.type == RRType::dname || (change.type == RRType::ns && change.owner != apex);
  return cuts && change.before.has_value() != change.after.has_value();
}

}  // namespace

std::vector<wire::Name> Signer::all_names(const ZoneVersion& version) const {
  std::vector<wire::Name> names;
  for (auto nodes = version.nodes(); const ZoneNode* node = nodes.next();)
    if (!node->rrsets().empty()) names.push_back(node->owner());
  return names;
}

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
  std::map<RRType, const RRset*> rrsets_at(const wire::Name& owner) const {
    std::map<RRType, const RRset*> found;
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

std::vector<RRsetChange> Signer::sign(const ZoneVersion& base, const ZoneVersion& next,
                                      const ChangeSet& change,
                                      const std::vector<wire::Name>& look_at, WallTime now) {
  Changes changes(next);
  Touched touched = touched_by(base, next, change, look_at);
  put_dnskey(touched, changes);
  renew_nsecs(base, touched, changes);
  for (const auto& [owner, types] : touched) renew_signatures(owner, types, now, changes);
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

void Signer::put_dnskey(Touched& touched, Changes& changes) const {
  const wire::Name& apex = changes.version().apex();
  const auto at_apex = touched.find(apex);
  if (at_apex == touched.end()) return;
  if (changes.put(apex, RRType::dnskey, RRset{RRType::dnskey, kDnskeyTtl, {key_.dnskey()}}))
    at_apex->second.insert(RRType::dnskey);
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
    if (owner == next.apex()) types.insert(RRType::dnskey);  // it may come with these changes
    const RRset nsec{RRType::nsec, nsec_ttl(next), {make_nsec(types, chain.next(owner))}};
    if (changes.put(owner, RRType::nsec, nsec)) touched[owner].insert(RRType::nsec);
  }
}

void Signer::renew_signatures(const wire::Name& owner, const std::set<RRType>& changed,
                              WallTime now, Changes& changes) {
  const ZoneVersion& next = changes.version();
  const Authority authority = authority_over(next, owner);
  auto wanted = changes.rrsets_at(owner);
  wanted.erase(RRType::rrsig);
  std::erase_if(wanted, [&](const auto& place) {
    const bool is_parents = place.first == RRType::nsec || place.first == RRType::ds;
    return authority == Authority::none || (authority == Authority::cut && !is_parents);
  });

  std::optional<WallTime> first_end;
  RRset signatures{RRType::rrsig, 0, {}};
  const auto keep = [&](Bytes rdata, WallTime end) {
    first_end = first_end ? std::min(*first_end, end) : end;
    signatures.rdatas.push_back(std::move(rdata));
  };
  if (const RRset* present = next.find(owner, RRType::rrsig)) {
    for (const Bytes& rdata : present->rdatas) {
      const auto facts = read_rrsig(rdata, now);
      const auto covered = facts ? wanted.find(facts->covered) : wanted.end();
      if (covered == wanted.end() || changed.contains(facts->covered) ||
          !may_stay(*facts, *covered->second, now))
        continue;
      keep(rdata, facts->expiration);
      wanted.erase(covered);
    }
  }
  for (const auto& [type, rrset] : wanted) {
    const std::chrono::seconds early(
        trust::random_u32() %
        std::max<std::uint32_t>(1, static_cast<std::uint32_t>(times_.jitter.count())));
    const WallTime end = now + times_.validity - early;
    keep(make_rrsig(next.apex(), owner, *rrset, key_, now - times_.skew, end), end);
  }
  if (first_end) schedule_.add(owner, *first_end - times_.renewal);
  changes.put(owner, RRType::rrsig,
              signatures.rdatas.empty() ? std::nullopt : std::optional(std::move(signatures)));
}

bool Signer::may_stay(const SignatureFacts& facts, const RRset& covered, WallTime now) const {
  return facts.algorithm == key_.algorithm() && facts.key_tag == key_.tag() &&
         facts.original_ttl == covered.ttl && facts.expiration - times_.renewal > now;
}

void Signer::watch(const ZoneVersion& version, WallTime now) {
  version.for_each([&](const wire::Name& owner, const RRset& rrset) {
    if (rrset.type == RRType::rrsig) watch(owner, rrset, now);
  });
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

bool Signer::has_work(const ZoneVersion& version, WallTime now) const {
  const RRset* dnskey = version.find(version.apex(), RRType::dnskey);
  if (!dnskey || dnskey->rdatas != std::vector<Bytes>{key_.dnskey()}) return true;
  for (auto nodes = version.nodes(); const ZoneNode* node = nodes.next();)
    if (!is_complete(version, node->owner(), now)) return true;
  return false;
}

bool Signer::is_complete(const ZoneVersion& version, const wire::Name& owner, WallTime now) const {
  const ZoneNode& node = *version.node(owner);
  const Authority authority = authority_over(version, owner);
  if (authority == Authority::none) return !node.find(RRType::nsec) && !node.find(RRType::rrsig);
  const RRset* signatures = node.find(RRType::rrsig);
  if (!signatures || !node.find(RRType::nsec)) return false;
  std::set<RRType> good;
  for (const Bytes& rdata : signatures->rdatas) {
    const auto facts = read_rrsig(rdata, now);
    const RRset* covered = facts ? node.find(facts->covered) : nullptr;
    if (!covered || !may_stay(*facts, *covered, now)) return false;
    good.insert(facts->covered);
  }
  return std::all_of(node.rrsets().begin(), node.rrsets().end(), [&](const RRset& rrset) {
    const bool is_parents = rrset.type == RRType::nsec || rrset.type == RRType::ds;
    return rrset.type == RRType::rrsig || (authority == Authority::cut && !is_parents) ||
           good.contains(rrset.type);
  });
}

}  // namespace mutua::authority
