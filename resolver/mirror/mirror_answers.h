#pragma once

#include "resolver/mirror/mirror_zone.h"
#include "wire/message.h"

namespace mutua::resolver {

// PURE. What an authority that holds the zone would answer to one who wants signatures: data,
// aliases (8 of them at most), wildcards, referrals, and absence with its NSECs; with SRV the
// addresses of the targets. The question's name is at or below the apex.
wire::Message answer_from(const MirrorZone& zone, const wire::Question& question);

}  // namespace mutua::resolver
