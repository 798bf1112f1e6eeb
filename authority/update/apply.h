#pragma once

#include <optional>
#include <variant>

#include "authority/access/policy.h"
#include "authority/access/refusal.h"
#include "authority/update/lease_table.h"
#include "authority/update/srp.h"
#include "authority/zone/change_set.h"
#include "authority/zone/zone_version.h"
#include "base/clock.h"
#include "wire/edns.h"

namespace mutua::authority {

// What an update does, still without the served lists that follow from it.
struct Applied {
  ChangeSet change;  // empty where the zone stays as it is
  LeaseChanges leases;
  std::optional<wire::UpdateLease> granted;  // goes back to SRP clients
};

// Prerequisites and update section of RFC 2136 (sections 3.2 and 3.4), or an SRP registration.
// Whole or not at all; a pure function of its arguments. Additions that may not stand beside
// what is there (CNAME, SOA) are passed over silently, as the RFC says. An RRset or a name that
// would grow beyond what one answer can carry is refused.
std::variant<Applied, Refusal> apply_update(const PermittedUpdate& update,
                                            const ZoneVersion& version, const LeaseTable& leases,
                                            WallTime now);

}  // namespace mutua::authority
