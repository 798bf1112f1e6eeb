#pragma once

#include <optional>
#include <vector>

#include "authority/access/refusal.h"
#include "authority/access/srp_message.h"
#include "authority/store/rows.h"
#include "authority/update/lease_table.h"
#include "authority/update/zone_draft.h"
#include "base/clock.h"

namespace mutua::authority {

// Bounds of what is granted (PROTOCOL.md).
constexpr std::chrono::seconds kShortestLease(30);
constexpr std::chrono::seconds kLongestLease(2 * 60 * 60);
constexpr std::chrono::seconds kLongestKeyLease(14 * 24 * 60 * 60);

// What an update does to the leases, beside what it does to the records.
struct LeaseChanges {
  std::vector<LeaseRow> put;
  std::vector<wire::Name> removed;
};

// Carries out a registration (RFC 9665): YXDOMAIN where one of its names belongs to another key or
// to nobody by lease; otherwise writes the records into `draft` and the leases into `leases`.
// `granted` is what goes back: the lease within its bounds, in the variant that came. A lease of 0
// removes the host with all its services, and the name too unless a key lease is asked for.
std::optional<Refusal> register_srp(const SrpRegistration& srp, const LeaseTable& table,
                                    WallTime now, ZoneDraft& draft, LeaseChanges& leases,
                                    wire::UpdateLease& granted);

// Removes the records of rows that are due at `now`. A host's KEY stays, so that nobody else takes
// the name, until the key lease ends too.
void lapse(const std::vector<LeaseRow>& due, WallTime now, ZoneDraft& draft, LeaseChanges& leases);

}  // namespace mutua::authority
