#include "peer/ports/host_ports.h"

#include <sys/socket.h>

#include <charconv>
#include <random>

#include "base/unique_fd.h"

namespace mutua::peer {
namespace {

constexpr int kAttempts = 200;

// The port that a socket bound to `address` got, or 0 where it is taken.
std::uint16_t bind_once(SocketAddress address, std::uint16_t port, PortKind kind) {
  address.set_port(port);
  const int type = kind == PortKind::tcp ? SOCK_STREAM : SOCK_DGRAM;
  const UniqueFd fd(::socket(address.family(), type | SOCK_CLOEXEC, 0));
  if (!fd || ::bind(fd.get(), address.data(), address.size()) != 0) return 0;
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &size);
  return SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&bound), size).port();
}

}  // namespace

Result<PortRange> PortRange::parse(std::string_view text) {
  PortRange range;
  const char* end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, range.first);
  const bool dash = first.ec == std::errc{} && first.ptr != end && *first.ptr == '-';
  const auto last = dash ? std::from_chars(first.ptr + 1, end, range.last) : first;
  if (!dash || last.ec != std::errc{} || last.ptr != end || range.first == 0 ||
      range.last < range.first) {
    return Error("not a range of ports (20000-29999): " + std::string(text));
  }
  return range;
}

Result<std::uint16_t> pick_port(const std::vector<SocketAddress>& addresses, PortKind kind,
                                PortRange range, const std::set<std::uint16_t>& taken) {
  // Not a secret, only spread: ports say nothing about how many machines run here.
  std::minstd_rand random(std::random_device{}());
  std::uniform_int_distribution<unsigned> any(range.first, range.last);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    auto port = static_cast<std::uint16_t>(any(random));
    bool free = true;
    for (const SocketAddress& address : addresses) {
      const std::uint16_t bound = bind_once(address, port, kind);
      if (port == 0) port = bound;
      free = free && bound != 0;
    }
    if (free && port != 0 && !taken.contains(port)) return port;
  }
  return errorf("no free host port in %u-%u", range.first, range.last);
}

}  // namespace mutua::peer
