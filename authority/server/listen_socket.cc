#include "authority/server/listen_socket.h"

#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace mutua::authority {
namespace {

constexpr int kPortAttempts = 20;                // for a port that is free for UDP and TCP
constexpr int kUdpBufferSize = 4 * 1024 * 1024;  // octets; the kernel gives what it allows
constexpr int kBacklog = 1024;
// A receive wakes up this often at the latest, should the wake-up at the end be lost.
constexpr timeval kUdpReceiveTimeout{1, 0};

template <typename Value>
Result<void> set_option(int fd, int level, int option, const Value& value, const char* name) {
  if (::setsockopt(fd, level, option, &value, sizeof value) == 0) return {};
  return errno_error(errno, std::string("setsockopt ") + name);
}

Result<UniqueFd> open_bound(const SocketAddress& address, int type) {
  UniqueFd fd(::socket(address.family(), type | SOCK_CLOEXEC, 0));
  if (!fd) return errno_error(errno, "socket for " + address.to_text());
  const int on = 1;
  if (address.family() == AF_INET6)
    TRY(set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, on, "IPV6_V6ONLY"));
  // Only UDP shares its port, between the workers. The TCP listener, which does not, keeps a
  // second server from taking a part of the datagrams unnoticed.
  if ((type & 0xF) == SOCK_DGRAM)
    TRY(set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, on, "SO_REUSEPORT"));
  else
    TRY(set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, on, "SO_REUSEADDR"));
  if (::bind(fd.get(), address.data(), address.size()) != 0)
    return errno_error(errno, "bind " + address.to_text());
  return fd;
}

Result<SocketAddress> bound_address(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0)
    return errno_error(errno, "getsockname");
  return SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&storage), length);
}

Result<UniqueFd> open_udp(const SocketAddress& address) {
  UniqueFd fd = TRY(open_bound(address, SOCK_DGRAM));
  const int on = 1;
  // Buffers are a wish: smaller ones work too.
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &kUdpBufferSize, sizeof kUdpBufferSize);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &kUdpBufferSize, sizeof kUdpBufferSize);
  TRY(set_option(fd.get(), SOL_SOCKET, SO_RCVTIMEO, kUdpReceiveTimeout, "SO_RCVTIMEO"));
  if (is_wildcard(address)) {
    if (address.family() == AF_INET6)
      TRY(set_option(fd.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, on, "IPV6_RECVPKTINFO"));
    else
      TRY(set_option(fd.get(), IPPROTO_IP, IP_PKTINFO, on, "IP_PKTINFO"));
  }
  return fd;
}

Result<UniqueFd> open_listener(const SocketAddress& address) {
  UniqueFd fd = TRY(open_bound(address, SOCK_STREAM | SOCK_NONBLOCK));
  if (::listen(fd.get(), kBacklog) != 0) return errno_error(errno, "listen " + address.to_text());
  return fd;
}

Result<ListenSockets> bind_all(SocketAddress address, unsigned udp_sockets) {
  ListenSockets sockets;
  sockets.udp.push_back(TRY(open_udp(address)));
  sockets.address = TRY(bound_address(sockets.udp.front().get()));
  while (sockets.udp.size() < udp_sockets) sockets.udp.push_back(TRY(open_udp(sockets.address)));
  sockets.tcp = TRY(open_listener(sockets.address));
  return sockets;
}

}  // namespace

bool is_wildcard(const SocketAddress& address) {
  const BytesView octets = address.address_octets();
  return std::all_of(octets.begin(), octets.end(), [](std::uint8_t octet) { return octet == 0; });
}

Result<Listener> bind_listener(const SocketAddress& address) {
  UniqueFd socket = TRY(open_listener(address));
  const SocketAddress bound = TRY(bound_address(socket.get()));
  return Listener{bound, std::move(socket)};
}

Result<ListenSockets> bind_listen_sockets(const SocketAddress& address, unsigned udp_sockets) {
  Result<ListenSockets> bound = bind_all(address, udp_sockets);
  for (int i = 1; !bound && address.port() == 0 && i < kPortAttempts; ++i)
    bound = bind_all(address, udp_sockets);
  return bound;
}

}  // namespace mutua::authority
