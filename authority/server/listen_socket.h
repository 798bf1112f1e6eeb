#pragma once

#include <vector>

#include "base/result.h"
#include "base/socket_address.h"
#include "base/unique_fd.h"

namespace mutua::authority {

// Sockets that the service manager listens on and hands down (sd_listen_fds(3)): connections and
// datagrams that come during a restart wait in them.
class InheritedSockets {
 public:
  InheritedSockets() = default;
  // What the environment of this process announces; forgets it, so that no child takes it for its
  // own. Before any thread starts.
  static InheritedSockets from_environment();

  // One that is bound to the address; an empty one where there is none. `type`: SOCK_DGRAM or a
  // listening SOCK_STREAM.
  UniqueFd take(const SocketAddress& address, int type);
  // Those that nobody has asked for.
  std::size_t left() const { return sockets_.size(); }

 private:
  struct Socket {
    SocketAddress address;
    int type;
    UniqueFd fd;
  };
  std::vector<Socket> sockets_;
};

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
// What was inherited for the address is used in its place.
Result<ListenSockets> bind_listen_sockets(const SocketAddress& address, unsigned udp_sockets,
                                          InheritedSockets& inherited);

// Binds `address` for TCP alone; port 0 picks one.
struct Listener {
  SocketAddress address;  // as bound
  UniqueFd socket;        // does not block
};
Result<Listener> bind_listener(const SocketAddress& address, InheritedSockets& inherited);

bool is_wildcard(const SocketAddress& address);

}  // namespace mutua::authority
