#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/socket_address.h"

namespace mutua::resolver {

// An IPv4 address as a number in host order. A value.
struct Ipv4 {
  std::uint32_t value = 0;
  auto operator<=>(const Ipv4&) const = default;

  static std::optional<Ipv4> of(const SocketAddress& address);
  SocketAddress with_port(std::uint16_t port) const;
  std::string to_text() const;
};

// The range that synthetic addresses come from: "127.192.0.0/10".
struct Ipv4Range {
  Ipv4 first;
  unsigned prefix_length = 32;

  // Between /8 and /24, and without host bits.
  static Result<Ipv4Range> parse(std::string_view text);
  std::uint32_t size() const { return std::uint32_t{1} << (32 - prefix_length); }
  bool contains(Ipv4 address) const { return address.value - first.value < size(); }
};

}  // namespace mutua::resolver
