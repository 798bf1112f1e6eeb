#include "resolver/redirect/ipv4_pool.h"

#include <array>
#include <charconv>

namespace mutua::resolver {

std::optional<Ipv4> Ipv4::of(const SocketAddress& address) {
  const BytesView octets = address.address_octets();
  if (octets.size() != 4) return std::nullopt;
  return Ipv4{load_u32(octets.data())};
}

SocketAddress Ipv4::with_port(std::uint16_t port) const {
  std::array<std::uint8_t, 4> octets{};
  store_u32(octets.data(), value);
  return SocketAddress::from_octets(octets, port).value();
}

std::string Ipv4::to_text() const { return with_port(0).address_to_text(); }

Result<Ipv4Range> Ipv4Range::parse(std::string_view text) {
  const auto problem = [&](const char* what) {
    return errorf("%.*s: %s", static_cast<int>(text.size()), text.data(), what);
  };
  const auto slash = text.find('/');
  if (slash == std::string_view::npos)
    return problem("expected an IPv4 address, '/' and a prefix length");
  const auto address = SocketAddress::parse(text.substr(0, slash), 0);
  const auto first = address ? Ipv4::of(*address) : std::nullopt;
  if (!first) return problem("not an IPv4 address");
  unsigned length = 0;
  const auto [end, error] =
      std::from_chars(text.data() + slash + 1, text.data() + text.size(), length);
  if (error != std::errc() || end != text.data() + text.size() || length < 8 || length > 24) {
    return problem("the prefix length must be 8 to 24");
  }
  const Ipv4Range range{*first, length};
  if ((first->value & (range.size() - 1)) != 0)
    return problem("the address has bits behind the prefix");
  return range;
}

}  // namespace mutua::resolver
