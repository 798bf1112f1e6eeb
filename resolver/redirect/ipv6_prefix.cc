#include "resolver/redirect/ipv6_prefix.h"

#include <algorithm>

namespace mutua::resolver {

Result<Ipv6Prefix> Ipv6Prefix::parse(std::string_view text) {
  const auto problem = [&](const char* what) {
    return errorf("%.*s: %s", static_cast<int>(text.size()), text.data(), what);
  };
  if (!text.ends_with("/96")) return problem("expected an IPv6 address and /96");
  const std::string bracketed = "[" + std::string(text.substr(0, text.size() - 3)) + "]";
  const auto address = SocketAddress::parse(bracketed, 0);
  if (!address || address->address_octets().size() != 16) return problem("not an IPv6 address");
  const BytesView octets = address->address_octets();
  const auto is_zero = [](std::uint8_t octet) { return octet == 0; };
  if (!std::all_of(octets.begin() + 12, octets.end(), is_zero))
    return problem("the address has bits behind the prefix");
  // ::/96 and ::ffff:0:0/96 are IPv4 addresses (RFC 4291 section 2.5.5), ff00::/8 is multicast.
  if (std::all_of(octets.begin(), octets.begin() + 10, is_zero) || octets[0] == 0xff)
    return problem("not a range of unicast addresses");
  Ipv6Prefix prefix;
  std::copy_n(octets.begin(), prefix.octets.size(), prefix.octets.begin());
  return prefix;
}

SocketAddress Ipv6Prefix::with(Ipv4 address, std::uint16_t port) const {
  std::array<std::uint8_t, 16> whole{};
  std::copy(octets.begin(), octets.end(), whole.begin());
  store_u32(whole.data() + octets.size(), address.value);
  return SocketAddress::from_octets(whole, port).value();
}

std::optional<Ipv4> Ipv6Prefix::ipv4_of(const SocketAddress& address) const {
  const BytesView whole = address.address_octets();
  if (whole.size() != 16 || !std::equal(octets.begin(), octets.end(), whole.begin()))
    return std::nullopt;
  return Ipv4{load_u32(whole.data() + octets.size())};
}

}  // namespace mutua::resolver
