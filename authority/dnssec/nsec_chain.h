#pragma once

#include <cstdint>
#include <optional>
#include <set>

#include "authority/zone/name_order.h"
#include "authority/zone/zone_version.h"
#include "wire/name.h"

namespace mutua::authority {

// Whether the zone speaks for the name with authority, so that it owns an NSEC and signatures: it
// has records, and is not below a zone cut or DNAME.
enum class Authority { none, cut, full };  // cut: for NSEC and DS alone (RFC 4035 section 2.2)
Authority authority_over(const ZoneVersion& version, const wire::Name& owner);

// The order of NSEC owners with names that came and went, while their NSECs are not made yet.
class NsecChain {
 public:
  explicit NsecChain(const NameOrder& present) : present_(present) {}

  void add(const wire::Name& name) { added_.insert(name); }
  void remove(const wire::Name& name) { removed_.insert(name); }

  // What follows a name on the ring, which is not empty.
  wire::Name next(const wire::Name& name) const;
  // What is before it; nothing where nothing is left on the ring.
  std::optional<wire::Name> previous(const wire::Name& name) const;

 private:
  const NameOrder& present_;
  std::set<wire::Name> added_, removed_;
};

// The types that the NSEC of a name lists, itself and the signatures among them.
std::set<wire::RRType> nsec_types(const ZoneVersion& version, const wire::Name& owner);

// The same by hashes (RFC 5155): an empty non-terminal has an NSEC3, too, and NSEC3s have none.
// `leaving`: names directly below that go with what the signer does next.
bool has_nsec3(const ZoneVersion& version, const wire::Name& owner, std::uint32_t leaving = 0);
// Nothing is left at an existing name but signatures, which the signer takes away.
bool goes_with_its_signatures(const ZoneVersion& version, const wire::Name& owner,
                              std::uint32_t leaving);
std::set<wire::RRType> nsec3_types(const ZoneVersion& version, const wire::Name& owner);
// <hash>.<apex>, where the NSEC3 of a name stands. No salt. Fails where that is too long for a
// name.
Result<wire::Name> nsec3_owner(const wire::Name& apex, const wire::Name& name);

}  // namespace mutua::authority
