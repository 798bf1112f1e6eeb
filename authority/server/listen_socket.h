#pragma once

#include <vector>

#include "base/result.h"
#include "base/socket_address.h"
#include "base/unique_fd.h"

namespace mutua::authority {

// The sockets of one listen address: UDP sockets that share the port (the kernel spreads clients
// over them) and one TCP listener, all on the same port.
struct ListenSockets {
  SocketAddress address;  // as bound: never port 0
  std::vector<UniqueFd> udp;
  UniqueFd tcp;
};

// Binds `address` for `udp_sockets` UDP sockets and TCP. Port 0 picks a port that is free for both.
// UDP sockets block; the TCP listener does not. UDP sockets bound to a wildcard tell for each
// datagram which address it was sent to.
Result<ListenSockets> bind_listen_sockets(const SocketAddress& address, unsigned udp_sockets);

// Binds `address` for TCP alone; port 0 picks one.
struct Listener {
  SocketAddress address;  // as bound
  UniqueFd socket;        // does not block
};
Result<Listener> bind_listener(const SocketAddress& address);

bool is_wildcard(const SocketAddress& address);

}  // namespace mutua::authority
