#include "resolver/service/acceptable_peer.h"

#include <algorithm>
#include <array>

namespace mutua::resolver {
namespace {

bool is_acceptable_ipv4(Ipv4 address, const Ipv4Range& synthetic) {
  const std::uint32_t first_octet = address.value >> 24;
  return first_octet != 0 && first_octet < 224 && !synthetic.contains(address);
}

bool is_acceptable_ipv6(BytesView octets) {
  constexpr std::array<std::uint8_t, 12> mapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  const bool unspecified =
      std::all_of(octets.begin(), octets.end(), [](auto octet) { return octet == 0; });
  return !unspecified && octets[0] != 0xff &&
         !std::equal(mapped.begin(), mapped.end(), octets.begin());
}

}  // namespace

bool is_acceptable_peer(const SocketAddress& address, const Ipv4Range& synthetic,
                        LoopbackPeers loopback) {
  if (address.is_loopback() && loopback == LoopbackPeers::no) return false;
  if (const auto ipv4 = Ipv4::of(address)) return is_acceptable_ipv4(*ipv4, synthetic);
  return address.address_octets().size() == 16 && is_acceptable_ipv6(address.address_octets());
}

}  // namespace mutua::resolver
