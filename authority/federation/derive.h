#pragma once

#include <vector>

#include "authority/federation/federation_index.h"
#include "authority/federation/policy.h"
#include "authority/zone/change_set.h"
#include "authority/zone/zone_version.h"

namespace mutua::authority {

// The TTL of everything derived, in seconds: how long a lapse may stay in clients' caches.
constexpr std::uint32_t kServedTtl = 30;

// What stands at one (owner, type) of a service is derived and nobody's to write: the SRV lists at
// the ports that it offers, and A, AAAA, HTTPS at its own name.
bool is_derived(const ZoneVersion& version, const wire::Name& owner, wire::RRType type);

// The changes that bring the derived RRsets of the touched services in line with `version`.
std::vector<RRsetChange> derive(const ZoneVersion& version, const FederationIndex& index,
                                const FederationPolicy& policy,
                                const std::vector<FederationIndex::Touched>& touched);

// `first`, which led to a version, and `then`, made on that version, as one change set.
ChangeSet combine(ChangeSet first, std::vector<RRsetChange> then);

}  // namespace mutua::authority
