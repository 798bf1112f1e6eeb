// Transfers one after the other: each through an address of the resolver's, and the same one directly
// from the peer that an oracle would have taken.

#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <thread>

#include "bench/client/bench_client.h"

namespace mutua::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kPause{30};  // what was under way comes to rest
constexpr timeval kPatience{60, 0};

// Seconds from connect() to the last octet; negative where it failed.
double carry(const SocketAddress& address, const std::string& octets) {
  const auto begun = Clock::now();
  const UniqueFd socket = dial(address);
  if (!socket) return -1;
  setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  const std::string wish = "F" + octets + "\n";
  if (send(socket.get(), wish.data(), wish.size(), MSG_NOSIGNAL) < 0) return -1;
  std::array<char, 64 * 1024> chunk;
  std::size_t total = 0;
  for (;;) {
    const auto received = recv(socket.get(), chunk.data(), chunk.size(), 0);
    if (received < 0) return -1;
    if (received == 0) break;
    total += static_cast<std::size_t>(received);
  }
  if (total != std::stoul(octets)) return -1;
  return std::chrono::duration<double>(Clock::now() - begun).count();
}

}  // namespace

int carry_flows(const std::vector<std::string>& arguments) {
  if (arguments.size() < 3 || arguments.size() % 2 == 0) return 2;
  const auto address = SocketAddress::parse(arguments[0]);
  if (!address) return 2;
  for (std::size_t i = 1; i < arguments.size(); i += 2) {
    const auto best = SocketAddress::parse(arguments[i + 1]);
    if (!best) return 2;
    const double through = carry(*address, arguments[i]);
    std::this_thread::sleep_for(kPause);
    const double direct = carry(*best, arguments[i]);
    std::this_thread::sleep_for(kPause);
    std::printf("%s[%.6f, %.6f]", i == 1 ? "[" : ", ", through, direct);
  }
  std::puts("]");
  return 0;
}

}  // namespace mutua::bench
