#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/socket_address.h"
#include "base/unique_fd.h"
#include "resolver/redirect/peer_chooser.h"
#include "resolver/redirect/tcp_connection.h"
#include "resolver/redirect/udp_listener.h"

namespace mutua::resolver {

struct RelaySettings {
  unsigned threads = 2;
  std::size_t connections = 10'000;     // TCP, over all listeners; more are reset at once
  std::size_t held_octets = 256 << 20;  // for slow readers, before flows hold less: see TcpFlow
  TcpLimits tcp;
  UdpLimits udp;
};

// Listens on synthetic (address, port)s and relays what comes to the peers that the chooser names.
// It has threads of its own, from create() to stop(). open(), close() and the counts belong to one
// other thread.
class Relay {
 public:
  struct Listener;  // one (address, port); shared by the threads
  using Handle = std::shared_ptr<Listener>;

  // `chooser` outlives stop(), and the relay outlives every chooser callback.
  static Result<std::unique_ptr<Relay>> create(const RelaySettings& settings, PeerChooser& chooser);
  virtual ~Relay() = default;

  // Listening TCP sockets, one for each family, at addresses that do not matter: whoever brings
  // the connections of all synthetic addresses there spares open() every bind() of TCP, and the
  // conflicts with programs that have a port on all addresses. Connections that are for no open
  // (address, port) are reset. The second two are for connections that a peer would not take: they come
  // over the loopback interface, are answered in the peer's name, and `meant` tells which synthetic
  // (address, port) a connection between these two ends is for. It is called on the relay's threads,
  // until stop(). open_gates() is called once, before the first open(). The descriptors stay the
  // relay's. Needs CAP_NET_ADMIN.
  struct Gates {
    int ipv4 = -1, ipv6 = -1, handed_ipv4 = -1, handed_ipv6 = -1;
  };
  using Meant = std::function<std::optional<SocketAddress>(const SocketAddress& client,
                                                           const SocketAddress& peer)>;
  virtual Result<Gates> open_gates(Meant meant) = 0;

  // Takes connections from now on. Fails where another program has the port, on this address or on
  // all addresses.
  virtual Result<Handle> open(const SocketAddress& local, const Target& target) = 0;
  // Takes no new connections; those that live go on. (UDP sessions end.)
  virtual void close(const Handle& listener) = 0;

  // Takes a connection for `synthetic` that `peer` has stopped answering; `client` is non-blocking,
  // the peer's end. Reset where (address, port) is not open.
  virtual void adopt(UniqueFd client, const SocketAddress& synthetic,
                     const SocketAddress& peer) = 0;

  // When `listener` last took a connection or datagram, and how many connections it has.
  struct Use {
    SteadyTime used_at;
    std::size_t connections = 0;
  };
  virtual Use use_of(const Handle& listener) const = 0;
  virtual std::size_t connection_count() const = 0;

  // Resets all connections and ends the threads.
  virtual void stop() = 0;
};

}  // namespace mutua::resolver
