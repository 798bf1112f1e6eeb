#pragma once

#include <cstddef>

namespace mutua::authority {

// What the operator decides about served lists; the rest follows from the zone.
struct FederationPolicy {
  // A snapshot may be served only where each of its bases is listed as trusted. Where this is off,
  // only a base that is listed as revoked keeps a service from being served.
  bool require_trusted_base = true;
  // Replicas at other peers that each service may have while its owner hosts nothing for others;
  // every commitment that the owner keeps for somebody else allows one more.
  std::size_t hosting_grace = 8;
};

}  // namespace mutua::authority
