#pragma once

#include <optional>

#include "base/clock.h"
#include "resolver/validation/denial.h"
#include "resolver/validation/flaw.h"
#include "resolver/validation/sections.h"
#include "resolver/validation/zone_keys.h"
#include "wire/message.h"

namespace mutua::resolver {

// PURE. Judges a response about a zone that must be signed (RFC 4035 section 5). Absence is proven by
// NSEC or NSEC3; those that opt out or are hashed more than once (RFC 9276) prove nothing.
//
// Nothing where all that the question asks for is proven, be it there or absent. `response` is then
// left with proven records alone (and the CNAMEs that follow from a proven DNAME), with their
// signatures, each with the TTL for which it may be kept; addresses in the additional section that are
// not proven are gone. Where an alias leads out of the zone the answer ends with it. Where the zone
// delegates the name there is nothing left.
//
// At most 128 RRsets of each section are looked at, and 8 signatures of each; see Effort for those that
// fail.
std::optional<Flaw> validate(const wire::Question& question, const ZoneKeys& keys, WallTime now,
                             wire::Message& response);

}  // namespace mutua::resolver
