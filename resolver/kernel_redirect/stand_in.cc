#include "resolver/kernel_redirect/stand_in.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/socket_address.h"
#include "resolver/kernel_redirect/endpoint.h"

namespace mutua::resolver {
namespace {

template <typename Value>
Result<void> set(int socket, int level, int option, const Value& value) {
  if (setsockopt(socket, level, option, &value, sizeof value) == 0) return {};
  return errno_error(errno, "stand in for a peer: socket option " + std::to_string(option));
}

Result<void> set_sequence(int socket, int queue, std::uint32_t sequence) {
  TRY(set(socket, IPPROTO_TCP, TCP_REPAIR_QUEUE, queue));
  return set(socket, IPPROTO_TCP, TCP_QUEUE_SEQ, sequence);
}

// What the two ends agreed on with their SYNs, as the peer sees it.
Result<void> agree(int socket, const mutua_silence& silence) {
  const auto repair = [&](std::uint32_t code, std::uint32_t value) {
    return set(socket, IPPROTO_TCP, TCP_REPAIR_OPTIONS, tcp_repair_opt{code, value});
  };
  TRY(repair(TCPOPT_MAXSEG, silence.longest_segment));
  if (silence.has_selective) TRY(repair(TCPOPT_SACK_PERMITTED, 0));
  if (silence.has_scales) {
    const auto of_peer = static_cast<std::uint32_t>(silence.peer_scale) << 16;
    TRY(repair(TCPOPT_WINDOW, silence.client_scale | of_peer));
  }
  if (silence.has_times) {
    TRY(repair(TCPOPT_TIMESTAMP, 0));
    // Later than any that the client has seen; odd ones would count microseconds.
    TRY(set(socket, IPPROTO_TCP, TCP_TIMESTAMP, (silence.peer_time + 2) & ~1u));
  }
  tcp_repair_window window{};
  socklen_t size = sizeof window;
  if (getsockopt(socket, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, &size) != 0)
    return errno_error(errno, "stand in for a peer: its window");
  window.snd_wl1 = silence.client_sequence;
  window.snd_wnd = silence.client_window;
  window.max_window = std::max(window.max_window, window.snd_wnd);
  return set(socket, IPPROTO_TCP, TCP_REPAIR_WINDOW, window);
}

}  // namespace

Result<UniqueFd> stand_in_for(const mutua_silence& silence) {
  const SocketAddress peer = TRY(address_of(silence.flow.peer));
  const SocketAddress client = TRY(address_of(silence.flow.client));
  UniqueFd stand_in(::socket(peer.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int socket = stand_in.get(), on = 1;
  if (!stand_in) return errno_error(errno, "stand in for " + peer.to_text());
  const bool ipv6 = peer.family() == AF_INET6;
  TRY(set(socket, ipv6 ? SOL_IPV6 : SOL_IP, ipv6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, on));
  if (setsockopt(socket, SOL_SOCKET, SO_BINDTODEVICE, "lo", sizeof "lo") != 0)
    return errno_error(errno, "stand in for " + peer.to_text());
  TRY(set(socket, SOL_SOCKET, SO_REUSEADDR, on));
  TRY(set(socket, SOL_SOCKET, SO_KEEPALIVE, on));
  TRY(set(socket, IPPROTO_TCP, TCP_NODELAY, on));
  TRY(set(socket, IPPROTO_TCP, TCP_REPAIR, static_cast<int>(TCP_REPAIR_ON)));
  TRY(set_sequence(socket, TCP_SEND_QUEUE, silence.peer_sequence));
  TRY(set_sequence(socket, TCP_RECV_QUEUE, silence.client_sequence));
  if (bind(socket, peer.data(), peer.size()) != 0 ||
      connect(socket, client.data(), client.size()) != 0)
    return errno_error(errno, "stand in for " + peer.to_text());
  TRY(agree(socket, silence));
  return stand_in;
}

Result<void> stand_up(int stand_in) {
  // Without a window probe: nothing is heard of it before it has something to say.
  return set(stand_in, IPPROTO_TCP, TCP_REPAIR, static_cast<int>(TCP_REPAIR_OFF_NO_WP));
}

}  // namespace mutua::resolver
