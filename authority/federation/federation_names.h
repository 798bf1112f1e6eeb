#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wire/name.h"

namespace mutua::authority {

// "80/tcp" in texts, "_80._tcp" in names.
struct ServicePort {
  std::uint16_t number = 0;
  std::string protocol;  // "tcp" or "udp"

  static std::optional<ServicePort> parse(std::string_view text);
  std::string to_text() const;
  auto operator<=>(const ServicePort&) const = default;
};

// What a name means to the federation by its shape alone (PROTOCOL.md, "Names"). Whether a service
// stands at `service` is a question to the zone.
struct FederationName {
  enum class Kind {
    other,
    list,        // _80._tcp.<service>
    commitment,  // <peer>._80._tcp.<service>
    admission,   // <peer>._admit.<service>
    denial,      // <peer>._deny.<service>
    peer,        // <peer>.peers.<zone>
    base,        // <label>._kernels.<zone>
  };

  Kind kind = Kind::other;
  wire::Name service;  // list, commitment, admission, denial
  ServicePort port;    // list, commitment
  std::string label;   // the peer or the base, in lower case
};

FederationName classify(const wire::Name& name, const wire::Name& apex);

wire::Name list_name(const wire::Name& service, const ServicePort& port);
wire::Name peer_name(std::string_view peer, const wire::Name& apex);
// `label` below `_admit` or `_deny` of the service.
wire::Name verdict_name(const wire::Name& service, std::string_view verdict, std::string_view peer);
wire::Name base_name(std::string_view label, const wire::Name& apex);

// `labels`, joined by dots, in front of `suffix`. The labels are known to be short.
wire::Name prefixed(std::string_view labels, const wire::Name& suffix);

}  // namespace mutua::authority
