// TCP over one path: how long connect() takes, a round trip, how much goes through, how many
// requests.
//
//   the client says one octet: 'P' sends back what comes; 'D' sends without end; 'R' sends one octet
//   and waits for the end; 'F', a decimal number and a newline ask for so many octets; 'G' is the
//   first letter of an HTTP request, and gets a small answer

#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "base/socket_address.h"
#include "base/unique_fd.h"
#include "bench/client/bench_client.h"

namespace mutua::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kChunk = 256 * 1024;

void send_at_once(int socket) {
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void serve_one(UniqueFd client) {
  std::vector<char> chunk(kChunk);
  char wish = 0;
  send_at_once(client.get());
  if (recv(client.get(), &wish, 1, 0) != 1) return;
  if (wish == 'D') {
    while (send(client.get(), chunk.data(), chunk.size(), MSG_NOSIGNAL) > 0) continue;
  } else if (wish == 'P') {
    char octet = 0;
    while (recv(client.get(), &octet, 1, 0) == 1) {
      if (send(client.get(), &octet, 1, MSG_NOSIGNAL) != 1) return;
    }
  } else if (wish == 'F') {
    const auto received = recv(client.get(), chunk.data(), 32, 0);
    if (received <= 0) return;
    chunk[static_cast<std::size_t>(received)] = 0;
    std::size_t left = std::strtoul(chunk.data(), nullptr, 10);
    while (left > 0) {
      const auto sent = send(client.get(), chunk.data(), std::min(left, kChunk), MSG_NOSIGNAL);
      if (sent <= 0) return;
      left -= static_cast<std::size_t>(sent);
    }
  } else if (wish == 'G') {
    (void)recv(client.get(), chunk.data(), chunk.size(), 0);
    send(client.get(), kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL);
  } else {
    send(client.get(), &wish, 1, MSG_NOSIGNAL);
    (void)recv(client.get(), &wish, 1, 0);
  }
}

}  // namespace

UniqueFd dial(const SocketAddress& address) {
  UniqueFd socket(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(socket.get(), address.data(), address.size()) != 0) socket.reset();
  return socket;
}

namespace {

// Leaves nothing in TIME-WAIT, so that no round hampers the next one.
void hang_up(UniqueFd& socket) {
  const linger at_once{1, 0};
  setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  socket.reset();
}

bool exchange(const UniqueFd& socket, char octet) {
  return send(socket.get(), &octet, 1, MSG_NOSIGNAL) == 1 && recv(socket.get(), &octet, 1, 0) == 1;
}

struct Measured {
  Latencies latencies;
  std::uint64_t octets = 0;
  std::size_t failures = 0;
};

std::uint32_t since(Clock::time_point begun) {
  return static_cast<std::uint32_t>((Clock::now() - begun).count());
}

Measured connect_again_and_again(const SocketAddress& address, Clock::time_point end,
                                 bool request) {
  Measured measured;
  while (Clock::now() < end && measured.failures < 1000) {
    const auto begun = Clock::now();
    UniqueFd socket = dial(address);
    if (socket && (!request || exchange(socket, 'R'))) {
      measured.latencies.push_back(since(begun));
    } else {
      ++measured.failures;
    }
    if (socket) hang_up(socket);
  }
  return measured;
}

Measured ping_and_pong(const SocketAddress& address, Clock::time_point end) {
  Measured measured;
  UniqueFd socket = dial(address);
  if (!socket) return measured.failures = 1, measured;
  send_at_once(socket.get());
  char octet = 'P';
  send(socket.get(), &octet, 1, MSG_NOSIGNAL);
  while (Clock::now() < end) {
    const auto begun = Clock::now();
    if (!exchange(socket, octet)) return measured.failures = 1, measured;
    measured.latencies.push_back(since(begun));
  }
  hang_up(socket);
  return measured;
}

Measured download(const SocketAddress& address, Clock::time_point end) {
  Measured measured;
  std::vector<char> chunk(kChunk);
  UniqueFd socket = dial(address);
  const char wish = 'D';
  if (!socket || send(socket.get(), &wish, 1, MSG_NOSIGNAL) != 1)
    return measured.failures = 1, measured;
  while (Clock::now() < end) {
    const auto received = recv(socket.get(), chunk.data(), chunk.size(), 0);
    if (received <= 0) return measured.failures = 1, measured;
    measured.octets += static_cast<std::uint64_t>(received);
  }
  hang_up(socket);
  return measured;
}

double processor_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

int serve_path(const std::vector<std::string>& arguments) {
  const auto address = arguments.size() == 1 ? SocketAddress::parse(arguments[0])
                                             : Result<SocketAddress>(Error("no address"));
  if (!address) return 2;
  const UniqueFd listener(socket(address->family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener.get(), address->data(), address->size()) != 0 ||
      listen(listener.get(), 4096) != 0)
    return 1;
  std::puts("ready");
  std::fflush(stdout);
  for (;;) {
    UniqueFd client(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (client) std::thread(serve_one, std::move(client)).detach();
  }
}

int measure_path(const std::vector<std::string>& arguments) {
  if (arguments.size() != 3) return 2;
  const auto address = SocketAddress::parse(arguments[0]);
  if (!address) return 2;
  const std::string& mode = arguments[1];
  const std::chrono::duration<double> length(std::stod(arguments[2]));
  const auto begun = Clock::now();
  const auto end = begun + std::chrono::duration_cast<Clock::duration>(length);
  Measured measured;
  if (mode == "connect" || mode == "requests") {
    measured = connect_again_and_again(*address, end, mode == "requests");
  } else if (mode == "pingpong") {
    measured = ping_and_pong(*address, end);
  } else if (mode == "download") {
    measured = download(*address, end);
  } else {
    return 2;
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - begun).count();
  std::sort(measured.latencies.begin(), measured.latencies.end());
  std::printf(
      "{\"p50\": %.3f, \"p99\": %.3f, \"rate\": %.1f, \"gigabit\": %.4f, "
      "\"gigabytes\": %.4f, \"failures\": %zu, \"processor\": %.4f}\n",
      percentile(measured.latencies, 0.5), percentile(measured.latencies, 0.99),
      static_cast<double>(measured.latencies.size()) / seconds,
      static_cast<double>(measured.octets) * 8e-9 / seconds,
      static_cast<double>(measured.octets) / 1e9, measured.failures, processor_seconds());
  return 0;
}

}  // namespace mutua::bench
