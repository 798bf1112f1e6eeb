#pragma once

#include <vector>

#include "dnssec/nsec.h"
#include "wire/name.h"
#include "wire/types.h"

namespace mutua::resolver {

// An NSEC whose signature held, and that is no wildcard's.
struct ProvenNsec {
  wire::Name owner;
  dnssec::Nsec nsec;
};

// What NSECs of one zone prove to be absent (RFC 4035 section 5.4, RFC 6840 section 4). A value.
class Denial {
 public:
  explicit Denial(std::vector<ProvenNsec> nsecs) : nsecs_(std::move(nsecs)) {}

  // NXDOMAIN: neither the name exists nor a wildcard for it.
  bool no_name(const wire::Name& name) const;
  // NODATA: the name, or the wildcard for it, exists without the type and without a CNAME; or the name
  // is one that only has others below it.
  bool no_type(const wire::Name& name, wire::RRType type) const;
  // An RRset at `name` that comes from *.ancestor(labels) does so rightly: nothing closer exists.
  bool no_closer(const wire::Name& name, unsigned labels) const;
  // A delegation begins at `name`.
  bool is_cut(const wire::Name& name) const;

 private:
  const ProvenNsec* at(const wire::Name& name) const;
  // The one that says that `name` itself owns nothing.
  const ProvenNsec* covering(const wire::Name& name) const;
  // The wildcard that would answer for `name`, which is covered by `by`.
  static Result<wire::Name> wildcard_for(const wire::Name& name, const ProvenNsec& by);

  std::vector<ProvenNsec> nsecs_;
};

}  // namespace mutua::resolver
