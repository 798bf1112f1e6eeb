#include "stub_client/wait_ready.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>

namespace mutua::stub_client {

Result<bool> wait_ready(int fd, short events, SteadyTime deadline, int cancel) {
  constexpr std::int64_t kHour = 3'600'000;
  std::array<pollfd, 2> watched{{{fd, events, 0}, {cancel, POLLIN, 0}}};
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now())
            .count();
    if (left <= 0) return false;
    const int count = ::poll(watched.data(), watched.size(),
                             static_cast<int>(std::min<std::int64_t>(left, kHour)));
    if (count < 0 && errno != EINTR) return errno_error(errno, "poll");
    if (count > 0 && watched[1].revents != 0) return Error("cancelled");
    if (count > 0) return true;
  }
}

}  // namespace mutua::stub_client
