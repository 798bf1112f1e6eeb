#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include "base/unique_fd.h"

namespace mutua::test {

// Stands between one client and a server on a UNIX socket, and cuts the connection when the client
// says a certain word: before the server hears of it, or once the server has answered it. One
// connection at a time, on 127.0.0.1.
class CuttingProxy {
 public:
  enum class Cut { never, before, after };

  explicit CuttingProxy(std::string server) : server_(std::move(server)) {
    listener_ = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(listener_.get(), 8) != 0 ||
        ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw std::runtime_error("the proxy cannot listen");
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~CuttingProxy() {
    stopping_ = true;
    thread_.join();
  }
  CuttingProxy(const CuttingProxy&) = delete;
  CuttingProxy& operator=(const CuttingProxy&) = delete;

  int port() const { return port_; }
  // The next time that the client says `word`.
  void cut(Cut when, std::string_view word) {
    word_ = word;
    cut_ = when;
  }
  unsigned cuts() const { return cuts_; }

 private:
  static constexpr int kLookMilliseconds = 20;

  bool is_readable(int fd) const {
    pollfd waited{fd, POLLIN, 0};
    return ::poll(&waited, 1, kLookMilliseconds) > 0;
  }
  void run() {
    while (!stopping_) {
      if (!is_readable(listener_.get())) continue;
      const UniqueFd client(::accept(listener_.get(), nullptr, nullptr));
      const UniqueFd server(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      server_.copy(address.sun_path, sizeof address.sun_path - 1);
      if (::connect(server.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0)
        relay(client.get(), server.get());
    }
  }
  void relay(int client, int server) {
    std::array<char, 65536> buffer;
    const auto pass = [&](int from, int to) {
      const ssize_t size = ::recv(from, buffer.data(), buffer.size(), 0);
      return size > 0 &&
             ::send(to, buffer.data(), static_cast<std::size_t>(size), MSG_NOSIGNAL) == size;
    };
    while (!stopping_) {
      std::array<pollfd, 2> waited{pollfd{client, POLLIN, 0}, pollfd{server, POLLIN, 0}};
      ::poll(waited.data(), waited.size(), kLookMilliseconds);
      if (waited[1].revents != 0 && !pass(server, client)) return;
      if (waited[0].revents == 0) continue;
      const ssize_t size = ::recv(client, buffer.data(), buffer.size(), MSG_PEEK);
      if (size <= 0) return;
      const std::string_view said(buffer.data(), static_cast<std::size_t>(size));
      const Cut now = said.find(word_) == said.npos ? Cut::never : cut_.exchange(Cut::never);
      if (now != Cut::never) ++cuts_;
      if (now == Cut::before || !pass(client, server)) return;
      if (now == Cut::after) {
        while (!is_readable(server)) {
        }
        return;
      }
    }
  }

  const std::string server_;
  UniqueFd listener_;
  int port_ = 0;
  std::string word_ = "COMMIT";  // set while the client is silent
  std::atomic<Cut> cut_{Cut::never};
  std::atomic<unsigned> cuts_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace mutua::test
