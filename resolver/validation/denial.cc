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

bool begins_delegation(const dnssec::Nsec& nsec) {
  return nsec.lists(RRType::ns) && !nsec.lists(RRType::soa);
}

bool lacks(const dnssec::Nsec& nsec, RRType type) {
  // The NSEC of a delegation is the parent's, who knows of NS, DS and NSEC only (RFC 6840 section 4.1).
  if (begins_delegation(nsec) && type != RRType::ds) return false;
  return !nsec.lists(type) && !nsec.lists(RRType::cname);
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
    if (is_above && (begins_delegation(one.nsec) || one.nsec.lists(RRType::dname))) continue;
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
  const ProvenNsec* by = covering(name);
  if (!by || by->nsec.next.is_at_or_below(name)) return false;
  const auto wildcard = wildcard_for(name, *by);
  if (!wildcard) return true;  // too long to exist
  const ProvenNsec* no_wildcard = covering(*wildcard);
  return no_wildcard && !no_wildcard->nsec.next.is_at_or_below(*wildcard);
}

bool Denial::no_type(const Name& name, RRType type) const {
  if (const ProvenNsec* own = at(name)) return lacks(own->nsec, type);
  const ProvenNsec* by = covering(name);
  if (!by) return false;
  if (by->nsec.next.is_at_or_below(name)) return true;
  const auto wildcard = wildcard_for(name, *by);
  const ProvenNsec* source = wildcard ? at(*wildcard) : nullptr;
  return source && lacks(source->nsec, type);
}

bool Denial::no_closer(const Name& name, unsigned labels) const {
  if (labels >= name.label_count()) return false;
  const Name next_closer = name.ancestor(labels + 1);
  const ProvenNsec* by = covering(next_closer);
  return by && !by->nsec.next.is_at_or_below(next_closer);
}

bool Denial::is_cut(const Name& name) const {
  const ProvenNsec* own = at(name);
  return own && begins_delegation(own->nsec);
}

}  // namespace mutua::resolver
