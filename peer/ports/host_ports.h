#pragma once

#include <cstdint>
#include <set>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/socket_address.h"

namespace mutua::peer {

// The host ports that machines may be mapped to. {0, 0}: whatever the kernel gives.
struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;

  static Result<PortRange> parse(std::string_view text);  // "20000-29999"
};

enum class PortKind { tcp, udp };

// A random port of the range that is free at every one of `addresses` and not in `taken`. It is
// not held: who binds it may find it taken and asks again.
Result<std::uint16_t> pick_port(const std::vector<SocketAddress>& addresses, PortKind kind,
                                PortRange range, const std::set<std::uint16_t>& taken);

}  // namespace mutua::peer
