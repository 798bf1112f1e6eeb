#pragma once

#include "authority/dnssec/signer_changes.h"
#include "authority/zone/zone_version.h"

namespace mutua::authority {

// What a change of a zone from `base` to the version of `changes` asks of a chain of denials. Each
// adds what it alters to `changes`, and to `touched` what has to be signed for it.
//
// Whichever names have an NSEC (or NSEC3), they are one ring, each showing the next that has: also
// while a chain is made or taken away in portions. So either may be turned round at any time.

// Each touched name that ought to be in the chain comes into it, every other leaves it.
void keep_nsecs(const ZoneVersion& base, TouchedTypes& touched, SignerChanges& changes);
void keep_nsec3s(const ZoneVersion& base, TouchedTypes& touched, SignerChanges& changes);

// Each touched name leaves the chain, with the names above it in that of NSEC3, where they may be
// there for its sake. Owners of NSEC3s may be among them.
void drop_nsecs(const ZoneVersion& base, TouchedTypes& touched, SignerChanges& changes);
void drop_nsec3s(const ZoneVersion& base, TouchedTypes& touched, SignerChanges& changes);

}  // namespace mutua::authority
