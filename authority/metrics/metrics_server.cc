#include "authority/metrics/metrics_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <string_view>
#include <utility>

namespace mutua::authority {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kPatience = std::chrono::seconds(2);
constexpr std::size_t kLargestRequest = 8192;
constexpr int kBacklog = 16;

// False at the deadline, or where the daemon ends.
bool wait_for(int socket, short events, int stop, Clock::time_point deadline) {
  std::array<pollfd, 2> watched{pollfd{socket, events, 0}, pollfd{stop, POLLIN, 0}};
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  if (left <= 0) return false;
  return ::poll(watched.data(), watched.size(), static_cast<int>(left)) > 0 &&
         watched[1].revents == 0;
}

// The head of a request; cut off where it did not end in time.
std::string read_head(int socket, int stop, Clock::time_point deadline) {
  std::string head;
  std::array<char, 2048> buffer;
  while (head.find("\r\n\r\n") == head.npos && head.size() < kLargestRequest) {
    if (!wait_for(socket, POLLIN, stop, deadline)) break;
    const ssize_t count = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (count <= 0 && errno != EAGAIN) break;
    if (count > 0) head.append(buffer.data(), static_cast<std::size_t>(count));
  }
  return head;
}

void send_all(int socket, std::string_view octets, int stop, Clock::time_point deadline) {
  while (!octets.empty() && wait_for(socket, POLLOUT, stop, deadline)) {
    const ssize_t count = ::send(socket, octets.data(), octets.size(), MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN) return;
    if (count > 0) octets.remove_prefix(static_cast<std::size_t>(count));
  }
}

std::string response(std::string_view status, std::string_view body, bool with_body) {
  std::string out =
      "HTTP/1.1 " + std::string(status) +
      "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n";
  if (with_body) out += body;
  return out;
}

Result<UniqueFd> listen_at(const SocketAddress& address) {
  UniqueFd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return errno_error(errno, "socket for " + address.to_text());
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd.get(), address.data(), address.size()) != 0 || ::listen(fd.get(), kBacklog) != 0)
    return errno_error(errno, "listen " + address.to_text());
  return fd;
}

}  // namespace

Result<std::unique_ptr<MetricsServer>> MetricsServer::create(
    const std::vector<SocketAddress>& addresses, std::function<std::string()> text) {
  std::unique_ptr<MetricsServer> server(new MetricsServer);
  server->text_ = std::move(text);
  server->stop_.reset(::eventfd(0, EFD_CLOEXEC));
  if (!server->stop_) return errno_error(errno, "eventfd");
  for (const SocketAddress& address : addresses) {
    server->listeners_.push_back(TRY(listen_at(address)));
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    ::getsockname(server->listeners_.back().get(), reinterpret_cast<sockaddr*>(&bound), &size);
    server->addresses_.push_back(
        SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&bound), size));
  }
  return server;
}

MetricsServer::~MetricsServer() { stop(); }

void MetricsServer::start() {
  thread_ = std::thread([this] { run(); });
}

void MetricsServer::stop() {
  if (!thread_.joinable()) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(stop_.get(), &one, sizeof one);
  thread_.join();
}

void MetricsServer::run() {
  std::vector<pollfd> watched{{stop_.get(), POLLIN, 0}};
  for (const UniqueFd& listener : listeners_) watched.push_back({listener.get(), POLLIN, 0});
  while (true) {
    if (::poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR) return;
    if (watched.front().revents != 0) return;
    for (std::size_t i = 1; i < watched.size(); ++i) {
      if (watched[i].revents == 0) continue;
      UniqueFd client(::accept4(watched[i].fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (client) serve(std::move(client));
    }
  }
}

void MetricsServer::serve(UniqueFd client) const {
  const auto deadline = Clock::now() + kPatience;
  const std::string head = read_head(client.get(), stop_.get(), deadline);
  const bool is_head = head.starts_with("HEAD ");
  std::string out;
  if (head.find("\r\n\r\n") == head.npos || (!is_head && !head.starts_with("GET ")))
    out = response("400 Bad Request", "", false);
  else if (const std::string_view path = std::string_view(head).substr(is_head ? 5 : 4);
           path.starts_with("/metrics ") || path.starts_with("/metrics?"))
    out = response("200 OK", text_(), !is_head);
  else
    out = response("404 Not Found", "", false);
  send_all(client.get(), out, stop_.get(), deadline);
}

}  // namespace mutua::authority
