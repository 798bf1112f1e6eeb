#include "authority/process.h"

#include <malloc.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "base/log.h"
#include "base/unique_fd.h"

namespace mutua::authority {
namespace {

constexpr std::size_t kOtherDescriptors = 512;  // database, listeners, upstream, control

}  // namespace

sigset_t block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  // OpenSSL writes to sockets without MSG_NOSIGNAL, and any client may be gone by then.
  std::signal(SIGPIPE, SIG_IGN);
  return signals;
}

Result<void> raise_descriptor_limit(std::size_t connections) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return errno_error(errno, "getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return errno_error(errno, "setrlimit");
  if (limit.rlim_cur >= connections + kOtherDescriptors) return {};
  return errorf("tcp_connections = %zu: the system allows %ju open files", connections,
                static_cast<std::uintmax_t>(limit.rlim_cur));
}

void release_unused_memory() { ::malloc_trim(0); }

void notify_manager(std::string_view state) {
  const char* const path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string_view place = path ? path : "";
  if (place.size() < 2 || place.size() >= sizeof address.sun_path) return;
  place.copy(address.sun_path, place.size());
  if (place.front() == '@') address.sun_path[0] = '\0';  // an abstract name
  const UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + place.size());
  // A manager that does not listen is no reason to end.
  [[maybe_unused]] const ssize_t sent =
      ::sendto(socket.get(), state.data(), state.size(), MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(&address), size);
}

void announce(const Server& server, const ZoneVersion& version) {
  for (const SocketAddress& address : server.addresses()) {
    log::info("authority.ready", {{"zone", version.apex().to_text()},
                                  {"listen", address.to_text()},
                                  {"serial", version.serial()},
                                  {"rrsets", version.rrset_count()}});
    std::printf("ready udp+tcp %s\n", address.to_text().c_str());
  }
  for (const SocketAddress& address : server.tls_addresses())
    std::printf("ready tls %s\n", address.to_text().c_str());
  std::fflush(stdout);
}

}  // namespace mutua::authority
