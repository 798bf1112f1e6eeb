#pragma once

#include <cstddef>
#include <set>
#include <span>

#include "authority/zone/rrset_view.h"
#include "base/result.h"
#include "wire/name.h"

namespace mutua::authority {

// What holds in every version, however it is made.

// RFC 1034 section 3.6.2: where a CNAME is, nothing else is, but for what DNSSEC puts beside it.
Result<void> check_company(const wire::Name& owner, std::span<const RRsetView> rrsets);

// Of these RRsets of one name, how many are zone cuts or DNAMEs.
std::size_t cuts_at(const wire::Name& owner, std::span<const RRsetView> rrsets,
                    const wire::Name& apex);

// The names of the zone whose addresses belong into answers from these RRsets, each once.
std::set<wire::Name> targets_of(std::span<const RRsetView> rrsets, const wire::Name& apex);

}  // namespace mutua::authority
