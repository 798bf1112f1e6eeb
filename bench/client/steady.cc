// Small HTTP requests at a steady rate, whether the earlier ones have been answered or not.
// Each is tried again RETRIES times at once when its connection could not be made: what a program
// does that is handed one address by a kernel that cannot repeat its connect().

#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>

#include "bench/client/bench_client.h"

namespace mutua::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr timeval kPatience{20, 0};
constexpr std::string_view kRequest = "GET / HTTP/1.0\r\n\r\n";

struct Outcome {
  double begun = 0, connected = 0,
         seconds = 0;  // `connected`: of `seconds`, until connect() returned
  unsigned failed_connects = 0;
  int problem = 0;  // an errno; 0: answered
};

int ask_once(const UniqueFd& socket) {
  setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  if (send(socket.get(), kRequest.data(), kRequest.size(), MSG_NOSIGNAL) < 0) return errno;
  std::string answer;
  char chunk[512];
  for (;;) {
    const auto received = recv(socket.get(), chunk, sizeof chunk, 0);
    if (received < 0) return errno;
    if (received == 0) return answer == kAnswer ? 0 : EPROTO;
    answer.append(chunk, static_cast<std::size_t>(received));
  }
}

void request(const SocketAddress& address, unsigned retries, Outcome& outcome) {
  const auto begun = Clock::now();
  for (unsigned attempt = 0; attempt <= retries; ++attempt) {
    const UniqueFd socket = dial(address);
    outcome.connected = std::chrono::duration<double>(Clock::now() - begun).count();
    outcome.problem = socket ? ask_once(socket) : errno;
    if (socket) break;
    ++outcome.failed_connects;
  }
  outcome.seconds = std::chrono::duration<double>(Clock::now() - begun).count();
}

void print(const std::vector<Outcome>& outcomes) {
  std::size_t failures = 0, failed_connects = 0, delayed = 0;
  double longest = 0;
  Latencies latencies;
  std::string causes, series;
  char text[96];
  for (const Outcome& one : outcomes) {
    failed_connects += one.failed_connects;
    delayed += one.seconds > 0.25 ? 1 : 0;
    longest = std::max(longest, one.seconds);
    latencies.push_back(static_cast<std::uint32_t>(std::min(one.seconds, 4.0) * 1e9));
    std::snprintf(text, sizeof text, "%s[%.3f, %.5f, %d, %.5f]", series.empty() ? "" : ", ",
                  one.begun, one.seconds, one.problem, one.connected);
    series += text;
    if (one.problem == 0) continue;
    ++failures;
    std::snprintf(text, sizeof text, "%s\"%.3f %s\"", causes.empty() ? "" : ", ", one.begun,
                  std::strerror(one.problem));
    causes += text;
  }
  std::sort(latencies.begin(), latencies.end());
  std::printf(
      "{\"requests\": %zu, \"failures\": %zu, \"causes\": [%s], \"failed_connects\": %zu, "
      "\"delayed\": %zu, \"p50\": %.3f, \"p99\": %.3f, \"longest\": %.3f, "
      "\"series\": [%s]}\n",
      outcomes.size(), failures, causes.c_str(), failed_connects, delayed,
      percentile(latencies, 0.5), percentile(latencies, 0.99), longest, series.c_str());
}

}  // namespace

int request_steadily(const std::vector<std::string>& arguments) {
  if (arguments.size() != 4) return 2;
  const auto address = SocketAddress::parse(arguments[0]);
  if (!address) return 2;
  const std::size_t count = std::stoul(arguments[1]);
  const std::chrono::duration<double> interval(1 / std::stod(arguments[2]));
  const auto retries = static_cast<unsigned>(std::stoul(arguments[3]));
  std::vector<Outcome> outcomes(count);
  std::atomic<std::size_t> running{0};
  std::puts("ready");
  std::fflush(stdout);
  const auto begun = Clock::now();
  for (std::size_t i = 0; i < count; ++i) {
    const auto due = interval * static_cast<double>(i);
    std::this_thread::sleep_until(begun + std::chrono::duration_cast<Clock::duration>(due));
    outcomes[i].begun = due.count();
    ++running;
    std::thread([&, i] {
      request(*address, retries, outcomes[i]);
      --running;
    }).detach();
  }
  while (running > 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  print(outcomes);
  return 0;
}

}  // namespace mutua::bench
