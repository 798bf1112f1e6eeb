#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <mutex>
#include <thread>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/unique_fd.h"
#include "local_protocol/local_protocol.h"

namespace mutua {

// Makes a folder the working directory, where the module under test has its socket, for its life.
class SocketFolder {
 public:
  SocketFolder() : before_(std::filesystem::current_path()) {
    char folder[] = "/tmp/nss-module-XXXXXX";
    path_ = mkdtemp(folder);
    std::filesystem::current_path(path_);
  }
  ~SocketFolder() {
    std::filesystem::current_path(before_);
    std::filesystem::remove_all(path_);
  }

 private:
  std::filesystem::path before_, path_;
};

// Serves ./resolver.sock: answers each request with what `reply` makes of it, octet for octet.
class FakeDaemon {
 public:
  using Reply = std::function<Bytes(const mutua_local_request&)>;

  explicit FakeDaemon(Reply reply) : reply_(std::move(reply)) {
    listener_ = UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{AF_UNIX, MUTUA_LOCAL_SOCKET_NAME};
    BASE_ASSERT(
        bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    BASE_ASSERT(listen(listener_.get(), 64) == 0);
    BASE_ASSERT(pipe(stop_) == 0);
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeDaemon() {
    close(stop_[1]);
    thread_.join();
    close(stop_[0]);
    unlink(MUTUA_LOCAL_SOCKET_NAME);
  }

  std::atomic<int> requests{0};

 private:
  void serve() {
    for (;;) {
      pollfd watched[2] = {{listener_.get(), POLLIN, 0}, {stop_[0], POLLIN, 0}};
      poll(watched, 2, -1);
      if (watched[1].revents != 0) return;
      const UniqueFd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      mutua_local_request request{};
      if (recv(client.get(), &request, sizeof request, MSG_WAITALL) != sizeof request) continue;
      ++requests;
      const Bytes answer = reply_(request);
      send(client.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
    }
  }

  const Reply reply_;
  UniqueFd listener_;
  int stop_[2];
  std::thread thread_;
};

inline Bytes bytes_of(const mutua_local_response& response) {
  return to_bytes(BytesView(reinterpret_cast<const std::uint8_t*>(&response), sizeof response));
}

}  // namespace mutua
