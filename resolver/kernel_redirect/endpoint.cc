#include "resolver/kernel_redirect/endpoint.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstddef>

namespace mutua::resolver {

mutua_endpoint endpoint_of(const SocketAddress& address) {
  mutua_endpoint endpoint{};
  const BytesView octets = address.address_octets();
  std::copy(octets.begin(), octets.end(), endpoint.address);
  endpoint.port = htons(address.port());
  endpoint.family = static_cast<std::uint16_t>(address.family());
  return endpoint;
}

Result<SocketAddress> address_of(const mutua_endpoint& endpoint) {
  const std::size_t octets = endpoint.family == AF_INET ? 4 : 16;
  return SocketAddress::from_octets(BytesView(endpoint.address, octets), ntohs(endpoint.port));
}

}  // namespace mutua::resolver
