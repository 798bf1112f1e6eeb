#pragma once

#include <memory>
#include <vector>

#include "authority/zone/change_set.h"
#include "authority/zone/zone_version.h"
#include "base/result.h"
#include "zone_transfer/incoming_transfer.h"

namespace mutua::authority {

// The version that a transfer leads to, and the steps to it.
struct Followed {
  std::shared_ptr<const ZoneVersion> version;
  std::vector<ChangeSet> changes;
};

// PURE. A whole zone replaces `present` in one step (from 0 where there is none); differences are
// applied to it. Fails, and nothing is to be kept, where differences do not fit what is there,
// where the result is no zone (see ZoneVersion::create), or where its ZONEMD does not match it.
Result<Followed> follow(const ZoneVersion* present, const wire::Name& apex,
                        zone_transfer::Received received);

}  // namespace mutua::authority
