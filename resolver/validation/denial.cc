#include "resolver/validation/denial.h"

#include <algorithm>

namespace mutua::resolver {
namespace {

using wire::Name;
using wire::RRType;

unsigned common_labels(const Name& a, const Name& b) {
  unsigned count = std::min(a.label_count(), b.label_count());
  while (a.ancestor(count) != b.ancestor(count)) --count;
  return count;
}

bool begins_delegation(const dnssec::TypeBitmaps& types) {
  return types.lists(RRType::ns) && !types.lists(RRType::soa);
}

bool lacks(const dnssec::TypeBitmaps& types, RRType type) {
  // The NSEC of a delegation is the parent's, who knows of NS, DS and NSEC only (RFC 6840 section 4.1).
  if (begins_delegation(types) && type != RRType::ds) return false;
  return !types.lists(type) && !types.lists(RRType::cname);
}

}  // namespace

const ProvenNsec* Denial::at(const Name& name) const {
  const auto found = std::ranges::find(nsecs_, name, &ProvenNsec::owner);
  return found == nsecs_.end() ? nullptr : &*found;
}

const ProvenNsec* Denial::covering(const Name& name) const {
  for (const ProvenNsec& one : nsecs_) {
    const bool is_last = one.nsec.next <= one.owner;  // back to the apex
    if (!(one.owner < name) || !(is_last || name < one.nsec.next)) continue;
    // Names below a delegation or a DNAME are not its to deny.
    const bool is_above = name.is_at_or_below(one.owner);
    if (is_above && (begins_delegation(one.nsec.types) || one.nsec.types.lists(RRType::dname)))
      continue;
    return &one;
  }
  return nullptr;
}

Result<Name> Denial::wildcard_for(const Name& name, const ProvenNsec& by) {
  // The closest encloser: what the name shares with its neighbours exists.
  const unsigned labels =
      std::max(common_labels(name, by.owner), common_labels(name, by.nsec.next));
  return name.ancestor(labels).child("*");
}

bool Denial::no_name(const Name& name) const {
  if (const auto encloser = hashed_encloser(name)) {
    const auto wildcard = encloser->child("*");
    return !wildcard || hashed_covering(*wildcard);
  }
  const ProvenNsec* by = covering(name);
  if (!by || by->nsec.next.is_at_or_below(name)) return false;
  const auto wildcard = wildcard_for(name, *by);
  if (!wildcard) return true;  // too long to exist
  const ProvenNsec* no_wildcard = covering(*wildcard);
  return no_wildcard && !no_wildcard->nsec.next.is_at_or_below(*wildcard);
}

bool Denial::no_type(const Name& name, RRType type) const {
  if (const ProvenNsec3* own = hashed_at(name)) return lacks(own->nsec3.types, type);
  if (const auto encloser = hashed_encloser(name)) {
    const auto wildcard = encloser->child("*");
    const ProvenNsec3* source = wildcard ? hashed_at(*wildcard) : nullptr;
    return source && lacks(source->nsec3.types, type);
  }
  if (const ProvenNsec* own = at(name)) return lacks(own->nsec.types, type);
  const ProvenNsec* by = covering(name);
  if (!by) return false;
  if (by->nsec.next.is_at_or_below(name)) return true;
  const auto wildcard = wildcard_for(name, *by);
  const ProvenNsec* source = wildcard ? at(*wildcard) : nullptr;
  return source && lacks(source->nsec.types, type);
}

bool Denial::no_closer(const Name& name, unsigned labels) const {
  if (labels >= name.label_count()) return false;
  const Name next_closer = name.ancestor(labels + 1);
  if (hashed_covering(next_closer)) return true;
  const ProvenNsec* by = covering(next_closer);
  return by && !by->nsec.next.is_at_or_below(next_closer);
}

bool Denial::is_cut(const Name& name) const {
  if (const ProvenNsec3* own = hashed_at(name)) return begins_delegation(own->nsec3.types);
  const ProvenNsec* own = at(name);
  return own && begins_delegation(own->nsec.types);
}

const ProvenNsec3* Denial::hashed_at(const Name& name) const {
  const Name lowered = name.lowered();
  for (const ProvenNsec3& one : nsec3s_)
    if (one.owner == dnssec::nsec3_hash(lowered.wire(), one.nsec3.salt)) return &one;
  return nullptr;
}

// One that opts out leaves delegations out, so that it denies nothing.
const ProvenNsec3* Denial::hashed_covering(const Name& name) const {
  const Name lowered = name.lowered();
  for (const ProvenNsec3& one : nsec3s_) {
    const auto hash = dnssec::nsec3_hash(lowered.wire(), one.nsec3.salt);
    const bool is_last = one.nsec3.next <= one.owner;  // round to the first
    const bool is_covered = is_last ? one.owner < hash || hash < one.nsec3.next
                                    : one.owner < hash && hash < one.nsec3.next;
    if (is_covered && !one.nsec3.opt_out) return &one;
  }
  return nullptr;
}

// RFC 5155 section 8.3.
std::optional<Name> Denial::hashed_encloser(const Name& name) const {
  if (nsec3s_.empty()) return std::nullopt;
  for (unsigned labels = name.label_count(); labels > zone_.label_count(); --labels) {
    const Name encloser = name.ancestor(labels - 1);
    const ProvenNsec3* own = hashed_at(encloser);
    if (!own) continue;
    // Names below a delegation or a DNAME are not its to deny.
    const bool is_end =
        begins_delegation(own->nsec3.types) || own->nsec3.types.lists(RRType::dname);
    if (is_end || !hashed_covering(name.ancestor(labels))) return std::nullopt;
    return encloser;
  }
  return std::nullopt;
}

}  // namespace mutua::resolver
