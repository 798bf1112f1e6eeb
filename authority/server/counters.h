#pragma once

#include <array>

#include "base/counter.h"

namespace mutua::authority {

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
