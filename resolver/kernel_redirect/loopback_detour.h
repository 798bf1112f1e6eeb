#pragma once

#include <optional>

#include "base/result.h"
#include "resolver/redirect/local_route.h"

namespace mutua::resolver {

// Lets the loopback interface take IPv6 packets to any address, from sockets that are bound to it;
// an IPv4 socket needs no leave for that. A rule and a table of routes with one route, which no
// other packet comes by:
//   ip -6 rule add oif lo lookup 109; ip -6 route add local default dev lo table 109
// They end with the object; those of a killed run are taken over. Needs CAP_NET_ADMIN.
class LoopbackDetour {
 public:
  static Result<LoopbackDetour> make();
  ~LoopbackDetour();
  LoopbackDetour(LoopbackDetour&& other) noexcept
      : route_(std::move(other.route_)), has_rule_(std::exchange(other.has_rule_, false)) {}
  LoopbackDetour& operator=(LoopbackDetour&&) = delete;

 private:
  explicit LoopbackDetour(LocalRoute route) : route_(std::move(route)) {}
  LocalRoute route_;
  bool has_rule_ = true;
};

}  // namespace mutua::resolver
