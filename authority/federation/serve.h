#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "authority/federation/federation_index.h"
#include "authority/federation/federation_names.h"
#include "authority/federation/policy.h"
#include "authority/federation/tokens.h"
#include "authority/zone/zone_version.h"
#include "wire/rdata.h"

namespace mutua::authority {

// One peer's promise to serve one port of a service, judged.
struct Commitment {
  ServicePort port;
  std::string peer;
  std::optional<wire::Srv> srv;      // nothing where the PTR leads to no SRV
  std::vector<std::string> reasons;  // why it is not served; empty where it is

  bool is_served() const { return reasons.empty(); }
};

struct Assessment {
  std::optional<ServiceTerms> terms;  // nothing where no service stands at the name
  std::vector<Commitment> commitments;
};

// The rule of PROTOCOL.md, "A commitment is served when", for every commitment to `service`. A
// function of the zone (`index` is one too) and of the operator's policy; leases are in it because
// a lapsed commitment is not in the zone.
Assessment assess(const ZoneVersion& version, const FederationIndex& index,
                  const FederationPolicy& policy, const wire::Name& service);

struct Explanation {
  bool served = false;
  std::vector<std::string> reasons;
};

// Says, by the same function, why `peer` is or is not in the list of (service, port).
Explanation explain(const ZoneVersion& version, const FederationIndex& index,
                    const FederationPolicy& policy, const wire::Name& service,
                    const ServicePort& port, std::string_view peer);

// The peers that the PTRs of (service, port) name.
std::vector<std::string> committed_peers(const ZoneVersion& version, const wire::Name& service,
                                         const ServicePort& port);

}  // namespace mutua::authority
