#include "authority/store/postgres_listener.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "base/log.h"

namespace mutua::authority::postgres {
namespace {

constexpr int kPauseMilliseconds = 1000;   // between attempts
constexpr int kLookMilliseconds = 10'000;  // libpq may have read what poll() waits for

}  // namespace

Result<std::unique_ptr<Listener>> Listener::start(Address address, std::string self,
                                                  std::function<void()> changed) {
  UniqueFd stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop) return errno_error(errno, "eventfd");
  return std::unique_ptr<Listener>(
      new Listener(std::move(address), std::move(self), std::move(changed), std::move(stop)));
}

Listener::Listener(Address address, std::string self, std::function<void()> changed, UniqueFd stop)
    : session_(std::move(address)),
      self_(std::move(self)),
      changed_(std::move(changed)),
      stop_(std::move(stop)),
      thread_([this] { run(); }) {}

Listener::~Listener() {
  const std::uint64_t one = 1;
  const ssize_t written = ::write(stop_.get(), &one, sizeof one);
  BASE_ASSERT(written == ssize_t{sizeof one});
  thread_.join();
}

// False when it is time to end.
bool Listener::wait(int socket, int milliseconds) const {
  std::array<pollfd, 2> waited{pollfd{stop_.get(), POLLIN, 0}, pollfd{socket, POLLIN, 0}};
  ::poll(waited.data(), waited.size(), milliseconds);  // a negative socket is passed over
  return waited[0].revents == 0;
}

bool Listener::listen() {
  auto connected = session_.connect();
  if (connected.ok()) connected = session_.listen(kChannel);
  if (connected.ok()) return true;
  log::debug("database.not_listening", {{"error", connected.error().message()}});
  session_.disconnect();
  return false;
}

void Listener::run() {
  while (true) {
    if (!session_.is_connected()) {
      if (!listen()) {
        if (!wait(-1, kPauseMilliseconds)) return;
        continue;
      }
      changed_();
    }
    if (!wait(session_.socket(), kLookMilliseconds)) return;
    const auto payloads = session_.notifications();
    if (!payloads.ok()) {
      session_.disconnect();
    } else if (std::ranges::any_of(*payloads,
                                   [this](const std::string& from) { return from != self_; })) {
      changed_();
    }
  }
}

}  // namespace mutua::authority::postgres
