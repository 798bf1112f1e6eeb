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

  // `table`: a descriptor that goes with each answer, or -1.
  explicit FakeDaemon(Reply reply, int table = -1) : reply_(std::move(reply)), table_(table) {
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
      send_with_table(client.get(), answer);
    }
  }

  void send_with_table(int client, const Bytes& answer) {
    iovec part{const_cast<std::uint8_t*>(answer.data()), answer.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof table_)] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (table_ >= 0) {
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof table_);
      std::memcpy(CMSG_DATA(header), &table_, sizeof table_);
    }
    sendmsg(client, &message, MSG_NOSIGNAL);
  }

  const Reply reply_;
  const int table_;
  UniqueFd listener_;
  int stop_[2];
  std::thread thread_;
};

inline Bytes bytes_of(const mutua_local_response& response) {
  return to_bytes(BytesView(reinterpret_cast<const std::uint8_t*>(&response), sizeof response));
}

}  // namespace mutua
