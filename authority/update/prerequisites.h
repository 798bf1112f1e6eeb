#pragma once

#include <optional>

#include "authority/access/refusal.h"
#include "authority/zone/zone_version.h"
#include "wire/message.h"

namespace mutua::authority {

// RFC 2136 section 3.2: whether the zone is as the sender supposes. Nothing where it is.
std::optional<Refusal> check_prerequisites(const wire::Message& message,
                                           const ZoneVersion& version);

}  // namespace mutua::authority
