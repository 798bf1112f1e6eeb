#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace mutua {

// An IPv4 or IPv6 address with a port, ready for the socket calls. A value.
class SocketAddress {
 public:
  SocketAddress() = default;
  // "127.0.0.1:53", "[::1]:53"; without a port where `default_port` is given.
  static Result<SocketAddress> parse(std::string_view text, int default_port = -1);
  // `address` in network order: 4 octets for IPv4, 16 for IPv6.
  static Result<SocketAddress> from_octets(BytesView address, std::uint16_t port);
  static SocketAddress from_sockaddr(const sockaddr* address, socklen_t length);

  const sockaddr* data() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const;
  int family() const { return storage_.ss_family; }
  std::uint16_t port() const;
  void set_port(std::uint16_t port);
  // 4 or 16 octets in network order, without the port.
  BytesView address_octets() const;
  bool is_loopback() const;

  std::string to_text() const;          // "127.0.0.1:53", "[::1]:53"
  std::string address_to_text() const;  // "127.0.0.1", "::1"

  bool operator==(const SocketAddress& other) const;
  bool operator<(const SocketAddress& other) const;

 private:
  sockaddr_storage storage_{};
};

}  // namespace mutua
