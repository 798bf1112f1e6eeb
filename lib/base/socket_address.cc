#include "base/socket_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace mutua {
namespace {

sockaddr_in* as_v4(sockaddr_storage& storage) { return reinterpret_cast<sockaddr_in*>(&storage); }
sockaddr_in6* as_v6(sockaddr_storage& storage) { return reinterpret_cast<sockaddr_in6*>(&storage); }
const sockaddr_in* as_v4(const sockaddr_storage& storage) {
  return reinterpret_cast<const sockaddr_in*>(&storage);
}
const sockaddr_in6* as_v6(const sockaddr_storage& storage) {
  return reinterpret_cast<const sockaddr_in6*>(&storage);
}

}  // namespace

Result<SocketAddress> SocketAddress::parse(std::string_view text, int default_port) {
  const auto bad = [&] { return Error("not an address with a port: " + std::string(text)); };
  std::string_view host = text;
  std::string_view port_text;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return bad();
    host = text.substr(1, close - 1);
    port_text = text.substr(close + 1);
    if (!port_text.empty() && !port_text.starts_with(':')) return bad();
    if (!port_text.empty()) port_text.remove_prefix(1);
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    const auto colon = text.find(':');
    host = text.substr(0, colon);
    port_text = text.substr(colon + 1);
  }
  unsigned port = static_cast<unsigned>(default_port);
  if (!port_text.empty()) {
    const auto [end, failure] =
        std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
    if (failure != std::errc{} || end != port_text.data() + port_text.size()) return bad();
  } else if (default_port < 0) {
    return bad();
  }
  if (port > 65535) return bad();
  std::uint8_t octets[16];
  const std::string host_text(host);
  if (::inet_pton(AF_INET, host_text.c_str(), octets) == 1) {
    return from_octets({octets, 4}, static_cast<std::uint16_t>(port));
  }
  if (::inet_pton(AF_INET6, host_text.c_str(), octets) == 1) {
    return from_octets({octets, 16}, static_cast<std::uint16_t>(port));
  }
  return bad();
}

Result<SocketAddress> SocketAddress::from_octets(BytesView address, std::uint16_t port) {
  SocketAddress result;
  if (address.size() == 4) {
    sockaddr_in* v4 = as_v4(result.storage_);
    v4->sin_family = AF_INET;
    std::copy(address.begin(), address.end(), reinterpret_cast<std::uint8_t*>(&v4->sin_addr));
  } else if (address.size() == 16) {
    sockaddr_in6* v6 = as_v6(result.storage_);
    v6->sin6_family = AF_INET6;
    std::copy(address.begin(), address.end(), reinterpret_cast<std::uint8_t*>(&v6->sin6_addr));
  } else {
    return errorf("an address has 4 or 16 octets, not %zu", address.size());
  }
  result.set_port(port);
  return result;
}

SocketAddress SocketAddress::from_sockaddr(const sockaddr* address, socklen_t length) {
  SocketAddress result;
  const std::size_t size = std::min<std::size_t>(length, sizeof result.storage_);
  std::memcpy(&result.storage_, address, size);
  return result;
}

socklen_t SocketAddress::size() const {
  return family() == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
}

std::uint16_t SocketAddress::port() const {
  return ntohs(family() == AF_INET6 ? as_v6(storage_)->sin6_port : as_v4(storage_)->sin_port);
}

void SocketAddress::set_port(std::uint16_t port) {
  (family() == AF_INET6 ? as_v6(storage_)->sin6_port : as_v4(storage_)->sin_port) = htons(port);
}

BytesView SocketAddress::address_octets() const {
  if (family() == AF_INET6) {
    return {reinterpret_cast<const std::uint8_t*>(&as_v6(storage_)->sin6_addr), 16};
  }
  return {reinterpret_cast<const std::uint8_t*>(&as_v4(storage_)->sin_addr), 4};
}

bool SocketAddress::is_loopback() const {
  const BytesView octets = address_octets();
  if (octets.size() == 4) return octets[0] == 127;
  return octets[15] == 1 && std::all_of(octets.begin(), octets.end() - 1,
                                        [](std::uint8_t octet) { return octet == 0; });
}

std::string SocketAddress::address_to_text() const {
  char text[INET6_ADDRSTRLEN] = "";
  ::inet_ntop(family(), address_octets().data(), text, sizeof text);
  return text;
}

std::string SocketAddress::to_text() const {
  const std::string host = address_to_text();
  const std::string port_text = std::to_string(port());
  return family() == AF_INET6 ? "[" + host + "]:" + port_text : host + ":" + port_text;
}

bool SocketAddress::operator==(const SocketAddress& other) const {
  return family() == other.family() && port() == other.port() &&
         std::ranges::equal(address_octets(), other.address_octets());
}

bool SocketAddress::operator<(const SocketAddress& other) const {
  const BytesView mine = address_octets();
  const BytesView theirs = other.address_octets();
  if (mine.size() != theirs.size()) return mine.size() < theirs.size();
  const int order = std::memcmp(mine.data(), theirs.data(), mine.size());
  return order != 0 ? order < 0 : port() < other.port();
}

}  // namespace mutua
