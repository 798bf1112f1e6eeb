#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "resolver/redirect/ipv4_pool.h"

namespace mutua::resolver {

// The range of synthetic IPv6 addresses, a /96: behind it stands the name's synthetic IPv4 address,
// so that each name has one address in either family. A value.
struct Ipv6Prefix {
  std::array<std::uint8_t, 12> octets{};

  // "fd6d:7574:7561::/96"; nothing behind the prefix, no IPv4 in IPv6 dress, not all zero.
  static Result<Ipv6Prefix> parse(std::string_view text);
  SocketAddress with(Ipv4 address, std::uint16_t port) const;
  // The IPv4 address behind the prefix; nothing for other addresses.
  std::optional<Ipv4> ipv4_of(const SocketAddress& address) const;
};

}  // namespace mutua::resolver
