#include "authority/server/listen_socket.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

namespace mutua::authority {
namespace {

constexpr int kPortAttempts = 20;                // for a port that is free for UDP and TCP
constexpr int kUdpBufferSize = 4 * 1024 * 1024;  // octets; the kernel gives what it allows
constexpr int kBacklog = 1024;
// A receive wakes up this often at the latest. A socket that is shared with the service manager
// cannot be shut down to wake it.
constexpr timeval kUdpReceiveTimeout{0, 200'000};
constexpr int kFirstInherited = 3;

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

Result<void> prepare_udp(const UniqueFd& fd, const SocketAddress& address) {
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
  return {};
}

Result<UniqueFd> open_udp(const SocketAddress& address) {
  UniqueFd fd = TRY(open_bound(address, SOCK_DGRAM));
  TRY(prepare_udp(fd, address));
  return fd;
}

void set_blocking(int fd, bool blocking) {
  const int flags = ::fcntl(fd, F_GETFL);
  ::fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

// One inherited socket may serve several workers: the kernel gives each datagram to one of them.
Result<void> take_udp(const SocketAddress& address, unsigned wanted, InheritedSockets& inherited,
                      std::vector<UniqueFd>& sockets) {
  while (sockets.size() < wanted) {
    UniqueFd fd = inherited.take(address, SOCK_DGRAM);
    if (!fd) break;
    set_blocking(fd.get(), true);
    TRY(prepare_udp(fd, address));
    sockets.push_back(std::move(fd));
  }
  const std::size_t own = sockets.size();
  for (std::size_t i = 0; own > 0 && sockets.size() < wanted; ++i)
    sockets.emplace_back(::fcntl(sockets[i % own].get(), F_DUPFD_CLOEXEC, 0));
  return {};
}

Result<UniqueFd> open_listener(const SocketAddress& address, InheritedSockets& inherited) {
  if (UniqueFd fd = inherited.take(address, SOCK_STREAM)) {
    set_blocking(fd.get(), false);
    return fd;
  }
  UniqueFd fd = TRY(open_bound(address, SOCK_STREAM | SOCK_NONBLOCK));
  if (::listen(fd.get(), kBacklog) != 0) return errno_error(errno, "listen " + address.to_text());
  return fd;
}

Result<ListenSockets> bind_all(SocketAddress address, unsigned udp_sockets,
                               InheritedSockets& inherited) {
  ListenSockets sockets;
  TRY(take_udp(address, udp_sockets, inherited, sockets.udp));
  if (sockets.udp.empty()) sockets.udp.push_back(TRY(open_udp(address)));
  sockets.address = TRY(bound_address(sockets.udp.front().get()));
  while (sockets.udp.size() < udp_sockets) sockets.udp.push_back(TRY(open_udp(sockets.address)));
  sockets.tcp = TRY(open_listener(sockets.address, inherited));
  return sockets;
}

}  // namespace

bool is_wildcard(const SocketAddress& address) {
  const BytesView octets = address.address_octets();
  return std::all_of(octets.begin(), octets.end(), [](std::uint8_t octet) { return octet == 0; });
}

Result<Listener> bind_listener(const SocketAddress& address, InheritedSockets& inherited) {
  UniqueFd socket = TRY(open_listener(address, inherited));
  const SocketAddress bound = TRY(bound_address(socket.get()));
  return Listener{bound, std::move(socket)};
}

InheritedSockets InheritedSockets::from_environment() {
  InheritedSockets inherited;
  const char* const process = std::getenv("LISTEN_PID");
  const char* const count = std::getenv("LISTEN_FDS");
  const bool is_ours = process && count && std::strtol(process, nullptr, 10) == ::getpid();
  const long last = is_ours ? std::min(std::strtol(count, nullptr, 10), 1024L) : 0;
  for (int fd = kFirstInherited; fd < kFirstInherited + last; ++fd) {
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    int type = 0;
    socklen_t size = sizeof type;
    const auto address = bound_address(fd);
    const bool is_socket = ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
    if (is_socket && address) inherited.sockets_.push_back({*address, type, UniqueFd(fd)});
  }
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(name);
  return inherited;
}

UniqueFd InheritedSockets::take(const SocketAddress& address, int type) {
  const auto found = std::ranges::find_if(
      sockets_, [&](const Socket& one) { return one.type == type && one.address == address; });
  if (found == sockets_.end()) return {};
  UniqueFd fd = std::move(found->fd);
  sockets_.erase(found);
  return fd;
}

Result<ListenSockets> bind_listen_sockets(const SocketAddress& address, unsigned udp_sockets,
                                          InheritedSockets& inherited) {
  Result<ListenSockets> bound = bind_all(address, udp_sockets, inherited);
  for (int i = 1; !bound && address.port() == 0 && i < kPortAttempts; ++i)
    bound = bind_all(address, udp_sockets, inherited);
  return bound;
}

}  // namespace mutua::authority
