#pragma once

#include <filesystem>
#include <functional>
#include <list>
#include <memory>
#include <vector>

#include "authority/server/answering_context.h"
#include "authority/server/counters.h"
#include "authority/server/listen_socket.h"
#include "authority/server/tcp_server.h"
#include "authority/server/udp_worker.h"
#include "authority/server/xdp_worker.h"
#include "authority/xdp/xdp_interface.h"
#include "base/result.h"
#include "base/socket_address.h"

namespace mutua::authority {

struct ServerConfig {
  std::vector<SocketAddress> listen;  // UDP and TCP both; port 0 picks one
  // Those of them whose questions go past the kernel's network stack, where that can be had.
  std::vector<SocketAddress> listen_xdp;
  std::vector<SocketAddress>
      listen_tls;  // DNS over TLS (RFC 7858) and transfers over it (RFC 9103)
  std::filesystem::path tls_certificate, tls_key;
  unsigned udp_workers = 1;            // threads for each listen address
  TcpLimits tcp;                       // for plain connections, and as much again for TLS
  std::vector<SipKey> cookie_secrets;  // none: one of the server's own making
  RateLimits rate_limits;
};

// Who takes what the server does not answer itself. Those that are empty: it is refused.
struct Takers {
  Taker update;                       // UPDATE messages
  Taker forward;                      // questions with RD about others' names
  TransferTaker transfer;             // AXFR and IXFR
  ResponseSigner sign;                // answers questions that end with a TSIG; never empty
  DatagramGate gate;                  // in front of `update`; empty: it stands open
  const ZoneVersion* list = nullptr;  // the catalog zone, if there is one; outlives the server
  Tap* tap =
      nullptr;  // dnstap, where it is wanted; outlives the server and all that it handed over
};

// The authority's face to the network.
class Server {
 public:
  // Binds everything; nothing is answered before start(). `catalog` outlives the server.
  static Result<std::unique_ptr<Server>> create(const ServerConfig& config, Catalog& catalog,
                                                Takers takers, InheritedSockets inherited = {});

  // As bound, in the order of the configuration.
  const std::vector<SocketAddress>& addresses() const { return addresses_; }
  const std::vector<SocketAddress>& tls_addresses() const { return tls_addresses_; }

  void start();
  // Ends all threads. Late replies by UDP still leave.
  void stop();

  // Takes up what may change while the server runs: the certificate with its key, the cookie
  // secrets, the rate limits. Fails, and changes nothing, where the files cannot be read. One
  // thread at a time.
  Result<void> reload(const ServerConfig& config);

  // What each thread has done. Any thread.
  struct Statistics {
    std::vector<const AnswerCounters*> udp, xdp, tcp, tls;
    std::vector<const ConnectionCounters*> tcp_connections, tls_connections;
  };
  Statistics statistics() const;

 private:
  Server(Catalog& catalog, Takers takers);
  void open_xdp(std::vector<XdpEndpoint> endpoints);
  Result<void> open_xdp(const std::string& interface, const std::vector<XdpEndpoint>& endpoints);

  AnsweringContext context_;
  // Every one that was ever in use: a thread may still be at work with it.
  std::list<Cookies> cookies_;
  std::list<RateLimiter> rate_limiters_;

  std::vector<SocketAddress> addresses_, tls_addresses_;
  std::shared_ptr<CurrentTlsContext> tls_context_;
  std::vector<std::unique_ptr<UdpWorker>> udp_workers_;
  std::vector<std::unique_ptr<XdpInterface>> xdp_interfaces_;
  std::vector<std::unique_ptr<XdpWorker>> xdp_workers_;
  std::unique_ptr<TcpServer> tcp_, tls_;
};

}  // namespace mutua::authority
