#include "authority/process.h"

#include <malloc.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>

#include "base/log.h"

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
