#include "authority/server/server.h"

#include <utility>

#include "authority/server/listen_socket.h"

namespace mutua::authority {

Result<std::unique_ptr<Server>> Server::create(const ServerConfig& config, Catalog& catalog,
                                               Taker update, Taker forward,
                                               TransferTaker transfer) {
  std::unique_ptr<Server> server(new Server);
  std::vector<UniqueFd> tcp_listeners;
  for (const SocketAddress& address : config.listen) {
    ListenSockets sockets = TRY(bind_listen_sockets(address, config.udp_workers));
    server->addresses_.push_back(sockets.address);
    for (UniqueFd& socket : sockets.udp)
      server->udp_workers_.push_back(
          std::make_unique<UdpWorker>(std::move(socket), catalog, update, forward));
    tcp_listeners.push_back(std::move(sockets.tcp));
  }
  server->tcp_ = TRY(TcpServer::create(std::move(tcp_listeners), config.tcp, catalog,
                                       std::move(update), std::move(forward), std::move(transfer)));
  return server;
}

void Server::start() {
  for (const auto& worker : udp_workers_) worker->start();
  tcp_->start();
}

void Server::stop() {
  for (const auto& worker : udp_workers_) worker->stop();
  tcp_->stop();
}

}  // namespace mutua::authority
