#pragma once

#include <atomic>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "resolver/mirror/mirror_zone.h"
#include "resolver/validation/flaw.h"
#include "resolver/validation/trust_anchors.h"

namespace mutua::resolver {

// A version of the zone that is proven whole: nothing is altered, nothing is missing.
struct ProvenMirror {
  MirrorZone::Shared zone;
  // The first of its signatures ends then.
  WallTime valid_until{};
  // When the first signature at each node ends; the epoch for those that need none (glue).
  std::vector<WallTime> node_valid_until;
  bool by_digest = false;  // one ZONEMD proved everything
};

// PURE. By the anchors: the keys; then either the ZONEMD and its signature (RFC 8976 section 4), or every
// RRset's signature and the chain of NSECs, which names every name and its types. A ZONEMD that is
// signed and does not match is a flaw. Nodes that `before` holds too, proven, are not verified again, so
// that a small change costs few signatures (0.1 ms each, on all processors); the chain is always followed
// whole. Ends soon, with a flaw, once `cancelled`.
std::variant<ProvenMirror, Flaw> prove_mirror(MirrorZone::Shared zone, const TrustAnchors& anchors,
                                              WallTime now, const ProvenMirror* before,
                                              const std::atomic<bool>& cancelled);

}  // namespace mutua::resolver
