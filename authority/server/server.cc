#include "authority/server/server.h"

#include <utility>

#include "base/log.h"

namespace mutua::authority {

Server::Server(Catalog& catalog, Takers takers)
    : context_{catalog,
               std::move(takers.update),
               std::move(takers.forward),
               std::move(takers.gate),
               std::move(takers.sign),
               std::move(takers.transfer),
               nullptr,
               nullptr} {}

Result<std::unique_ptr<Server>> Server::create(const ServerConfig& config, Catalog& catalog,
                                               Takers takers, InheritedSockets inherited) {
  std::unique_ptr<Server> server(new Server(catalog, std::move(takers)));
  TRY(server->reload(config));
  std::vector<UniqueFd> tcp_listeners, tls_listeners;
  for (const SocketAddress& address : config.listen) {
    ListenSockets sockets = TRY(bind_listen_sockets(address, config.udp_workers, inherited));
    server->addresses_.push_back(sockets.address);
    for (UniqueFd& socket : sockets.udp)
      server->udp_workers_.push_back(
          std::make_unique<UdpWorker>(std::move(socket), server->context_));
    tcp_listeners.push_back(std::move(sockets.tcp));
  }
  for (const SocketAddress& address : config.listen_tls) {
    Listener listener = TRY(bind_listener(address, inherited));
    server->tls_addresses_.push_back(listener.address);
    tls_listeners.push_back(std::move(listener.socket));
  }
  if (inherited.left() != 0) log::warning("server.unused_sockets", {{"count", inherited.left()}});
  server->tcp_ =
      TRY(TcpServer::create(std::move(tcp_listeners), config.tcp, server->context_, nullptr));
  if (!tls_listeners.empty())
    server->tls_ = TRY(TcpServer::create(std::move(tls_listeners), config.tcp, server->context_,
                                         server->tls_context_));
  return server;
}

Result<void> Server::reload(const ServerConfig& config) {
  if (!config.listen_tls.empty()) {
    auto context = TRY(TlsContext::load(config.tls_certificate, config.tls_key));
    if (tls_context_)
      tls_context_->replace(std::move(context));
    else
      tls_context_ = std::make_shared<CurrentTlsContext>(std::move(context));
  }
  // A secret of the server's own making stays: clients hold cookies that it made.
  if (!config.cookie_secrets.empty() || cookies_.empty())
    cookies_.push_back(config.cookie_secrets.empty() ? Cookies::random()
                                                     : Cookies(config.cookie_secrets));
  rate_limiters_.emplace_back(config.rate_limits);
  context_.cookies.store(&cookies_.back(), std::memory_order_release);
  context_.rate_limiter.store(&rate_limiters_.back(), std::memory_order_release);
  return {};
}

void Server::start() {
  for (const auto& worker : udp_workers_) worker->start();
  tcp_->start();
  if (tls_) tls_->start();
}

void Server::stop() {
  for (const auto& worker : udp_workers_) worker->stop();
  tcp_->stop();
  if (tls_) tls_->stop();
}

Server::Statistics Server::statistics() const {
  Statistics all;
  for (const auto& worker : udp_workers_) all.udp.push_back(&worker->counters());
  all.tcp.push_back(&tcp_->answer_counters());
  all.tcp_connections.push_back(&tcp_->connection_counters());
  if (!tls_) return all;
  all.tls.push_back(&tls_->answer_counters());
  all.tls_connections.push_back(&tls_->connection_counters());
  return all;
}

}  // namespace mutua::authority
