#pragma once

#include <optional>
#include <vector>

#include "dnssec/nsec.h"
#include "dnssec/nsec3.h"
#include "wire/name.h"
#include "wire/types.h"

namespace mutua::resolver {

// An NSEC whose signature held, and that is no wildcard's.
struct ProvenNsec {
  wire::Name owner;
  dnssec::Nsec nsec;
};

struct ProvenNsec3 {
  dnssec::Nsec3Hash owner;  // the hash in its first label
  dnssec::Nsec3 nsec3;
};

// What NSECs of one zone prove to be absent (RFC 4035 section 5.4, RFC 6840 section 4), or its NSEC3s
// (RFC 5155 section 8). A value.
class Denial {
 public:
  Denial(const wire::Name& zone, std::vector<ProvenNsec> nsecs, std::vector<ProvenNsec3> nsec3s)
      : zone_(zone), nsecs_(std::move(nsecs)), nsec3s_(std::move(nsec3s)) {}

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

  // The same with NSEC3s: the one of `name` itself, and the one that says that there is none.
  const ProvenNsec3* hashed_at(const wire::Name& name) const;
  const ProvenNsec3* hashed_covering(const wire::Name& name) const;
  // The closest encloser that is proven, where the name one label longer is proven not to exist.
  std::optional<wire::Name> hashed_encloser(const wire::Name& name) const;

  wire::Name zone_;
  std::vector<ProvenNsec> nsecs_;
  std::vector<ProvenNsec3> nsec3s_;
};

}  // namespace mutua::resolver
