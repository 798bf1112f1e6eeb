#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/unique_fd.h"
#include "peer/audit/run_check.h"

namespace mutua::peer {
namespace {

// A machine's network takes a connection before the guest does, and drops it when the guest
// refuses: only a connection that stays for a while, or brings data, was taken by the service.
constexpr std::chrono::milliseconds kStays{1000};

Finding finding(Outcome outcome, const std::string& detail) {
  return {outcome, detail, trust::sha256(as_bytes(detail))};
}

// True where `fd` became ready; false when the time is up.
bool ready(int fd, short events, std::chrono::milliseconds timeout) {
  pollfd entry{fd, events, 0};
  int count = 0;
  do {
    count = ::poll(&entry, 1, static_cast<int>(timeout.count()));
  } while (count < 0 && errno == EINTR);
  return count > 0;
}

}  // namespace

Finding run_tcp_check(const SocketAddress& replica, std::chrono::milliseconds timeout) {
  const UniqueFd fd(::socket(replica.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return finding(Outcome::unreachable, errno_error(errno, "socket").message());
  int problem = 0;
  if (::connect(fd.get(), replica.data(), replica.size()) != 0) problem = errno;
  if (problem == EINPROGRESS) {
    problem = ETIMEDOUT;
    if (ready(fd.get(), POLLOUT, timeout)) {
      socklen_t size = sizeof problem;
      ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &problem, &size);
    }
  }
  if (problem != 0) {
    return finding(Outcome::unreachable, errno_error(problem, "connect").message());
  }
  if (!ready(fd.get(), POLLIN, std::min(kStays, timeout))) {
    return finding(Outcome::passed, "the connection stays open");
  }
  char byte = 0;
  if (::recv(fd.get(), &byte, 1, 0) > 0) return finding(Outcome::passed, "the service speaks");
  return finding(Outcome::unreachable, "the connection was closed at once");
}

}  // namespace mutua::peer
