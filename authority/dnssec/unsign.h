#pragma once

#include <vector>

#include "authority/zone/change_set.h"
#include "authority/zone/zone_version.h"

namespace mutua::authority {

// Whether the zone has keys or anything made with them.
bool has_dnssec_records(const ZoneVersion& version);

// The changes that take everything of DNSSEC out of the zone: keys, signatures, denials. What the
// zone says of zones below it (DS) stays. O(zone).
std::vector<RRsetChange> remove_dnssec_records(const ZoneVersion& version);

}  // namespace mutua::authority
