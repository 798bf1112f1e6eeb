#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace mutua::authority {

// Counts up on one thread and is read on others: no locked instruction.
class Counter {
 public:
  void add(std::uint64_t count) {
    value_.store(value_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
  }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// What one thread has answered. Alone in its cache lines.
struct alignas(64) AnswerCounters {
  static constexpr std::size_t kRcodes = 16;

  Counter requests;                        // messages that came
  std::array<Counter, kRcodes> responses;  // by the header's rcode
  Counter truncated;                       // of the responses
  Counter handed_over;                     // updates and questions to forward
  Counter valid_cookies;
  Counter limited_dropped, limited_short;  // by the rate limit
};

// What the threads for connections have done.
struct alignas(64) ConnectionCounters {
  Counter accepted, refused, timed_out;
  Counter open;  // now: counted down by adding -1
};

}  // namespace mutua::authority
