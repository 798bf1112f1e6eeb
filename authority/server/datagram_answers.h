#pragma once

#include <cstdint>
#include <span>

#include "authority/server/answering_context.h"
#include "authority/server/counters.h"

namespace mutua::authority {

// What a thread that answers datagrams does with each, whatever way they come: cookies, the rate
// limit, the counters. One thread's.
class DatagramAnswers {
 public:
  // Both outlive it.
  DatagramAnswers(const AnsweringContext& context, AnswerCounters& counters)
      : context_(context), counters_(counters) {}

  // Takes up the time, and what may be replaced while the server runs, for `requests` messages.
  void begin_batch(unsigned requests);
  // Answering::finish() for a question from `source` (4 or 16 octets), or less, or nothing.
  Answered finish(const Answering& answering, BytesView source, std::span<std::uint8_t> out);
  // A response leaves.
  void count(const std::uint8_t* response);

 private:
  const AnsweringContext& context_;
  AnswerCounters& counters_;
  std::uint32_t seconds_ = 0, milliseconds_ = 0;  // when the batch came
  unsigned limited_turn_ = 0;
  const Cookies* cookies_ = nullptr;
  RateLimiter* rate_limiter_ = nullptr;
};

}  // namespace mutua::authority
