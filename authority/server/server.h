#pragma once

#include <memory>
#include <vector>

#include "authority/server/handover.h"
#include "authority/server/tcp_server.h"
#include "authority/server/udp_worker.h"
#include "authority/zone/catalog.h"
#include "base/result.h"
#include "base/socket_address.h"

namespace mutua::authority {

struct ServerConfig {
  std::vector<SocketAddress> listen;  // UDP and TCP both; port 0 picks one
  unsigned udp_workers = 1;           // threads for each listen address
  TcpLimits tcp;
};

// The authority's face to the network.
class Server {
 public:
  // Binds everything; nothing is answered before start(). `update` takes UPDATE messages, `forward`
  // questions with RD about others' names, `transfer` AXFR and IXFR; empty: those are refused.
  // `catalog` outlives the server.
  static Result<std::unique_ptr<Server>> create(const ServerConfig& config, Catalog& catalog,
                                                Taker update, Taker forward,
                                                TransferTaker transfer);

  // As bound, in the order of the configuration.
  const std::vector<SocketAddress>& addresses() const { return addresses_; }

  void start();
  // Ends all threads. Late replies by UDP still leave.
  void stop();

 private:
  Server() = default;

  std::vector<SocketAddress> addresses_;
  std::vector<std::unique_ptr<UdpWorker>> udp_workers_;
  std::unique_ptr<TcpServer> tcp_;
};

}  // namespace mutua::authority
