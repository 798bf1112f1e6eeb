#include "authority/dnssec/chain_upkeep.h"

#include <functional>

#include "authority/dnssec/nsec_chain.h"
#include "base/assert.h"
#include "dnssec/nsec.h"
#include "dnssec/nsec3.h"

namespace mutua::authority {
namespace {

using wire::RRType;

// RFC 9077 section 3: as that of a negative answer.
std::uint32_t nsec_ttl(const ZoneVersion& version) { return version.negative_soa_rrset().ttl; }

// Keys and the parameters of a chain may come or go at the apex with these very changes.
std::set<RRType> types_at_apex(const SignerChanges& changes) {
  std::set<RRType> types{RRType::rrsig};
  for (const auto& [type, rrset] : changes.rrsets_at(changes.version().apex()))
    if (type != RRType::nsec && type != RRType::nsec3) types.insert(type);
  return types;
}

void put_nsec(const wire::Name& owner, const NsecChain& chain, TouchedTypes& touched,
              SignerChanges& changes) {
  const ZoneVersion& next = changes.version();
  auto types = owner == next.apex() ? types_at_apex(changes) : nsec_types(next, owner);
  types.insert(RRType::nsec);
  const RRset nsec{RRType::nsec, nsec_ttl(next), {dnssec::make_nsec(types, chain.next(owner))}};
  if (changes.put(owner, RRType::nsec, nsec)) touched[owner].insert(RRType::nsec);
}

void put_nsec3(const wire::Name& owner, RRset nsec3, TouchedTypes& touched,
               SignerChanges& changes) {
  if (changes.put(owner, RRType::nsec3, std::move(nsec3))) touched[owner].insert(RRType::nsec3);
}

dnssec::Nsec3Hash hash_after(const NsecChain& chain, const wire::Name& owner) {
  return dnssec::nsec3_hash_of_label(chain.next(owner).label(0));
}

// What a change does to the chain of hashes.
struct HashedChanges {
  explicit HashedChanges(const ZoneVersion& base) : chain(base.nsec3_owners()) {}

  NsecChain chain;
  std::map<wire::Name, wire::Name> renewed;  // the names whose NSEC3s are made, by these' owners
  std::set<wire::Name> moved;                // owners that came or went
  std::set<wire::Name> removed;
};

// Also of names that come and go with others: empty non-terminals have NSEC3s. From the leaves on,
// because what goes with these changes still stands in the version with its signatures.
HashedChanges find_hashed_changes(const ZoneVersion& base, const ZoneVersion& next,
                                  const TouchedTypes& touched) {
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
        found.removed.insert(*owner);
      }
    }
  }
  return found;
}

HashedChanges find_hashed_removals(const ZoneVersion& base, const TouchedTypes& touched) {
  HashedChanges found(base);
  const auto leave = [&](const wire::Name& owner) {
    if (base.nsec3_owners().contains(owner)) found.removed.insert(owner);
  };
  for (const auto& [touched_name, types] : touched) {
    leave(touched_name);
    for (wire::Name name = touched_name;; name = name.parent()) {
      const auto owner = nsec3_owner(base.apex(), name);
      BASE_ASSERT(owner.ok());
      leave(*owner);
      if (name == base.apex()) break;
    }
  }
  for (const wire::Name& owner : found.removed) found.chain.remove(owner);
  found.moved = found.removed;
  return found;
}

void put_hashed_changes(const HashedChanges& found, TouchedTypes& touched, SignerChanges& changes) {
  const ZoneVersion& next = changes.version();
  for (const wire::Name& owner : found.removed) {
    changes.put(owner, RRType::nsec3, std::nullopt);
    touched[owner].insert(RRType::nsec3);
  }
  for (const auto& [owner, name] : found.renewed) {
    const auto types = name == next.apex() ? types_at_apex(changes) : nsec3_types(next, name);
    put_nsec3(owner,
              {RRType::nsec3,
               nsec_ttl(next),
               {dnssec::make_nsec3(types, hash_after(found.chain, owner))}},
              touched, changes);
  }
  // Of a neighbour nothing but what follows it is another.
  std::set<wire::Name> neighbours;
  for (const wire::Name& owner : found.moved)
    if (const auto previous = found.chain.previous(owner)) neighbours.insert(*previous);
  for (const wire::Name& owner : neighbours) {
    if (found.renewed.contains(owner)) continue;
    RRset nsec3 = *next.find(owner, RRType::nsec3);
    nsec3.rdatas = {dnssec::with_next(nsec3.rdatas.front(), hash_after(found.chain, owner))};
    put_nsec3(owner, std::move(nsec3), touched, changes);
  }
}

}  // namespace

void keep_nsecs(const ZoneVersion& base, TouchedTypes& touched, SignerChanges& changes) {
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
  for (const wire::Name& name : moved)
    if (const auto previous = chain.previous(name)) renewed.insert(*previous);
  for (const wire::Name& owner : renewed) put_nsec(owner, chain, touched, changes);
}

void drop_nsecs(const ZoneVersion& base, TouchedTypes& touched, SignerChanges& changes) {
  NsecChain chain(base.nsec_owners());
  std::set<wire::Name> removed;
  for (const auto& [owner, types] : touched)
    if (base.nsec_owners().contains(owner)) removed.insert(owner);
  for (const wire::Name& owner : removed) {
    chain.remove(owner);
    changes.put(owner, RRType::nsec, std::nullopt);
  }
  std::set<wire::Name> neighbours;
  for (const wire::Name& owner : removed)
    if (const auto previous = chain.previous(owner)) neighbours.insert(*previous);
  for (const wire::Name& owner : neighbours) put_nsec(owner, chain, touched, changes);
}

void keep_nsec3s(const ZoneVersion& base, TouchedTypes& touched, SignerChanges& changes) {
  put_hashed_changes(find_hashed_changes(base, changes.version(), touched), touched, changes);
}

void drop_nsec3s(const ZoneVersion& base, TouchedTypes& touched, SignerChanges& changes) {
  put_hashed_changes(find_hashed_removals(base, touched), touched, changes);
}

}  // namespace mutua::authority
