#include "authority/server/server.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <string>
#include <utility>

#include "authority/server/tapping.h"
#include "base/log.h"

namespace mutua::authority {
namespace {

Result<std::shared_ptr<const UniqueFd>> duplicate(const UniqueFd& socket) {
  UniqueFd copy(::fcntl(socket.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy) return errno_error(errno, "duplicate a socket");
  return std::make_shared<const UniqueFd>(std::move(copy));
}

}  // namespace

Server::Server(Catalog& catalog, Takers takers)
    : context_{catalog,
               takers.tap && takers.update ? tapped(*takers.tap, std::move(takers.update))
                                           : std::move(takers.update),
               std::move(takers.forward),
               std::move(takers.gate),
               std::move(takers.sign),
               std::move(takers.transfer),
               takers.list,
               takers.tap,
               nullptr,
               nullptr} {}

Result<std::unique_ptr<Server>> Server::create(const ServerConfig& config, Catalog& catalog,
                                               Takers takers, InheritedSockets inherited) {
  std::unique_ptr<Server> server(new Server(catalog, std::move(takers)));
  TRY(server->reload(config));
  std::vector<UniqueFd> tcp_listeners, tls_listeners;
  std::vector<XdpEndpoint> xdp_endpoints;
  for (const SocketAddress& address : config.listen) {
    ListenSockets sockets = TRY(bind_listen_sockets(address, config.udp_workers, inherited));
    server->addresses_.push_back(sockets.address);
    if (std::ranges::find(config.listen_xdp, address) != config.listen_xdp.end())
      xdp_endpoints.push_back({sockets.address, TRY(duplicate(sockets.udp.front()))});
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
  server->open_xdp(std::move(xdp_endpoints));
  return server;
}

// The sockets are there in any case: without AF_XDP they get all questions.
void Server::open_xdp(std::vector<XdpEndpoint> endpoints) {
  std::map<std::string, std::vector<XdpEndpoint>> by_interface;
  for (XdpEndpoint& endpoint : endpoints) {
    const auto name = XdpInterface::name_of(endpoint.address);
    if (name)
      by_interface[*name].push_back(std::move(endpoint));
    else
      log::warning("xdp.unavailable",
                   {{"listen", endpoint.address.to_text()}, {"cause", name.error().message()}});
  }
  for (const auto& [name, those] : by_interface)
    if (const auto opened = open_xdp(name, those); !opened.ok())
      log::warning("xdp.unavailable", {{"interface", name}, {"cause", opened.error().message()}});
}

Result<void> Server::open_xdp(const std::string& name, const std::vector<XdpEndpoint>& endpoints) {
  std::vector<SocketAddress> addresses;
  for (const XdpEndpoint& endpoint : endpoints) addresses.push_back(endpoint.address);
  auto interface = TRY(XdpInterface::create(name, addresses));
  auto sockets = interface->take_sockets();
  log::info("xdp.ready", {{"interface", name},
                          {"queues", sockets.size()},
                          {"mode", interface->is_native() ? "native" : "generic"}});
  for (auto& socket : sockets)
    xdp_workers_.push_back(std::make_unique<XdpWorker>(std::move(socket), endpoints, context_));
  xdp_interfaces_.push_back(std::move(interface));
  return {};
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
  for (const auto& worker : xdp_workers_) worker->start();
  for (const auto& interface : xdp_interfaces_)
    if (const auto active = interface->activate(); !active.ok())
      log::warning("xdp.unavailable", {{"cause", active.error().message()}});
  tcp_->start();
  if (tls_) tls_->start();
}

void Server::stop() {
  for (const auto& worker : udp_workers_) worker->stop();
  for (const auto& worker : xdp_workers_) worker->stop();
  tcp_->stop();
  if (tls_) tls_->stop();
}

Server::Statistics Server::statistics() const {
  Statistics all;
  for (const auto& worker : udp_workers_) all.udp.push_back(&worker->counters());
  for (const auto& worker : xdp_workers_) all.xdp.push_back(&worker->counters());
  all.tcp.push_back(&tcp_->answer_counters());
  all.tcp_connections.push_back(&tcp_->connection_counters());
  if (!tls_) return all;
  all.tls.push_back(&tls_->answer_counters());
  all.tls_connections.push_back(&tls_->connection_counters());
  return all;
}

}  // namespace mutua::authority
