#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

#include "base/bytes.h"

namespace mutua::resolver {

// One request to the kernel about routes (rtnetlink(7)), or about the rules that choose among the
// tables of routes, or about neighbours, whose headers have the same size.
struct RouteRequest {
  nlmsghdr header{};
  rtmsg route{};
  std::uint8_t attributes[128] = {};

  // `flags` beside NLM_F_REQUEST. The rest of `route` is 0.
  RouteRequest(std::uint16_t type, unsigned flags, int family);
  void add(std::uint16_t type, BytesView value);
  void add(std::uint16_t type, std::uint32_t value);
  // Puts another header in the route's place.
  template <typename Header>
  void set(const Header& other) {
    static_assert(sizeof other == sizeof route);
    std::memcpy(&route, &other, sizeof other);
  }
};
static_assert(offsetof(RouteRequest, attributes) == NLMSG_LENGTH(sizeof(rtmsg)));

// The kernel's reply to one request, at most one message; empty where there is none.
Bytes exchange(const RouteRequest& request);

// What became of a request for a change: 0 or an errno.
int change(RouteRequest request);

// The reply's body, where it is of `type`.
template <typename Body>
std::optional<Body> body_of(const Bytes& reply, std::uint16_t type) {
  if (reply.size() < NLMSG_LENGTH(sizeof(Body))) return std::nullopt;
  nlmsghdr header{};
  std::memcpy(&header, reply.data(), sizeof header);
  if (header.nlmsg_type != type) return std::nullopt;
  Body body{};
  std::memcpy(&body, reply.data() + NLMSG_LENGTH(0), sizeof body);
  return body;
}

// An attribute of a route's description, where there is one of that size: a view into `reply`.
std::optional<BytesView> attribute_in(const Bytes& reply, std::uint16_t type, std::size_t size);

}  // namespace mutua::resolver
