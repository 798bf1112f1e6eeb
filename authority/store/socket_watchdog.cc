#include "authority/store/socket_watchdog.h"

#include <sys/socket.h>

#include "base/assert.h"

namespace mutua::authority {
namespace {

constexpr std::chrono::milliseconds kInterval(250);

}  // namespace

SocketWatchdog::SocketWatchdog() : thread_([this] { run(); }) {}

SocketWatchdog::~SocketWatchdog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

// By intervals, so that beginning and ending a watch wakes nobody.
void SocketWatchdog::run() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, kInterval, [this] { return stopping_; })) {
    if (!watched_ || std::chrono::steady_clock::now() < watched_->deadline) continue;
    ::shutdown(watched_->socket, SHUT_RDWR);
    watched_.reset();
  }
}

SocketWatchdog::Watch::Watch(SocketWatchdog& dog, int socket, std::chrono::milliseconds patience)
    : dog_(dog) {
  const std::lock_guard lock(dog_.mutex_);
  BASE_ASSERT(!dog_.watched_);
  dog_.watched_ = {socket, std::chrono::steady_clock::now() + patience};
}

SocketWatchdog::Watch::~Watch() {
  const std::lock_guard lock(dog_.mutex_);
  dog_.watched_.reset();
}

}  // namespace mutua::authority
