// A cable between two network namespaces with a round trip and a rate: what netem does where the kernel
// has it. Packets wait in the order in which they came; the rate holds towards the first end.

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <deque>
#include <optional>

#include "bench/client/bench_client.h"

namespace mutua::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kLargestPacket = 1600, kMostWaiting = 4096, kReadInOneTurn = 64;
constexpr std::chrono::milliseconds kIdle{1000};

// An interface of the network namespace of `pid`.
UniqueFd make_end(const std::string& pid, const std::string& name) {
  const UniqueFd space(open(("/proc/" + pid + "/ns/net").c_str(), O_RDONLY | O_CLOEXEC));
  if (!space || setns(space.get(), CLONE_NEWNET) != 0) return {};
  UniqueFd end(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  ifreq request{};
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  if (!end || ioctl(end.get(), TUNSETIFF, &request) != 0) return {};
  return end;
}

// The packets on their way to one end.
class Direction {
 public:
  Direction(int from, int to, std::chrono::duration<double> delay, double octets_per_second)
      : from_(from),
        to_(to),
        delay_(std::chrono::duration_cast<Clock::duration>(delay)),
        octets_per_second_(octets_per_second) {}

  void take() {
    std::array<char, kLargestPacket> packet;
    for (std::size_t i = 0; i < kReadInOneTurn && waiting_.size() < kMostWaiting; ++i) {
      const auto size = read(from_, packet.data(), packet.size());
      if (size <= 0) return;
      busy_until_ = std::max(busy_until_, Clock::now());
      if (octets_per_second_ > 0) {
        busy_until_ += std::chrono::duration_cast<Clock::duration>(
            std::chrono::duration<double>(static_cast<double>(size) / octets_per_second_));
      }
      waiting_.push_back(
          {busy_until_ + delay_, std::string(packet.data(), static_cast<std::size_t>(size))});
    }
  }

  // What is due arrives; where the end is down, it is lost. When the next one is due.
  std::optional<Clock::time_point> deliver() {
    while (!waiting_.empty() && waiting_.front().due <= Clock::now()) {
      const std::string& octets = waiting_.front().octets;
      [[maybe_unused]] const auto written = write(to_, octets.data(), octets.size());
      waiting_.pop_front();
    }
    if (waiting_.empty()) return std::nullopt;
    return waiting_.front().due;
  }

 private:
  struct Packet {
    Clock::time_point due;
    std::string octets;
  };
  const int from_, to_;
  const Clock::duration delay_;
  const double octets_per_second_;  // 0: any
  Clock::time_point busy_until_{};
  std::deque<Packet> waiting_;
};

}  // namespace

int serve_link(const std::vector<std::string>& arguments) {
  if (arguments.size() != 5) return 2;
  const UniqueFd here = make_end(arguments[0], arguments[2]);
  const UniqueFd there = make_end(arguments[1], arguments[2]);
  if (!here || !there) return std::perror("make an end"), 1;
  prctl(PR_SET_TIMERSLACK, 1000);  // nanoseconds
  const std::chrono::duration<double> round_trip(std::stod(arguments[3]));
  Direction out(here.get(), there.get(), round_trip / 2, 0);
  Direction back(there.get(), here.get(), round_trip / 2, std::stod(arguments[4]));
  std::puts("ready");
  std::fflush(stdout);
  for (;;) {
    Clock::time_point next = Clock::now() + kIdle;
    for (Direction* direction : {&out, &back}) {
      if (const auto due = direction->deliver()) next = std::min(next, *due);
    }
    const auto wait = std::max<Clock::duration>(next - Clock::now(), Clock::duration::zero());
    const timespec patience{wait / std::chrono::seconds(1),
                            (wait % std::chrono::seconds(1)).count()};
    std::array<pollfd, 2> ends = {{{here.get(), POLLIN, 0}, {there.get(), POLLIN, 0}}};
    ppoll(ends.data(), ends.size(), &patience, nullptr);
    out.take();
    back.take();
  }
}

}  // namespace mutua::bench
