#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/name.h"

namespace mutua::peer {

// Where things stand in a federation's zone (PROTOCOL, "Names").
class ZoneNames {
 public:
  explicit ZoneNames(wire::Name zone) : zone_(std::move(zone)) {}

  const wire::Name& zone() const { return zone_; }

  // A service's owner name in the zone: itself, or below lookaside.<zone> for a foreign hostname.
  Result<wire::Name> service(std::string_view hostname) const;
  Result<wire::Name> host(std::string_view peer) const;      // <peer>.peers.<zone>
  Result<wire::Name> exchange_type() const;                  // _mutua._tcp.<zone>
  Result<wire::Name> exchange(std::string_view peer) const;  // <peer>._mutua._tcp.<zone>
  Result<wire::Name> base(std::string_view label) const;     // <label>._kernels.<zone>

 private:
  wire::Name zone_;
};

// _80._tcp.<service>; `transport` is "tcp" or "udp".
Result<wire::Name> port_name(const wire::Name& service, std::uint16_t port,
                             std::string_view transport);
// <peer>._admit.<service>, <peer>._deny.<service>
Result<wire::Name> admission_name(const wire::Name& service, std::string_view peer);
Result<wire::Name> denial_name(const wire::Name& service, std::string_view peer);

// The one way to write a hostname here: lower case, without the final dot. Fails for what is no
// hostname.
Result<std::string> canonical_hostname(std::string_view hostname);

}  // namespace mutua::peer
