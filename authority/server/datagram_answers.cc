#include "authority/server/datagram_answers.h"

#include <ctime>

namespace mutua::authority {
namespace {

std::uint32_t coarse_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return static_cast<std::uint32_t>(now.tv_sec);
}

std::uint32_t coarse_milliseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<std::uint32_t>(now.tv_sec * 1000 + now.tv_nsec / 1'000'000);
}

RateLimiter::Class class_of(const std::uint8_t* response) {
  const unsigned rcode = response[3] & 15;
  if (rcode != 0 && rcode != static_cast<unsigned>(wire::Rcode::nxdomain))
    return RateLimiter::Class::error;
  const bool has_answer = load_u16(response + 6) != 0;
  return has_answer ? RateLimiter::Class::positive : RateLimiter::Class::negative;
}

}  // namespace

void DatagramAnswers::begin_batch(unsigned requests) {
  counters_.requests.add(requests);
  seconds_ = coarse_seconds();
  milliseconds_ = coarse_milliseconds();
  cookies_ = context_.cookies.load(std::memory_order_acquire);
  rate_limiter_ = context_.rate_limiter.load(std::memory_order_acquire);
}

Answered DatagramAnswers::finish(const Answering& answering, BytesView source,
                                 std::span<std::uint8_t> out) {
  const BytesView option = answering.cookie();
  Cookies::Verdict cookie{false, {}};
  if (!option.empty()) {
    cookie = cookies_->judge(option, source, seconds_);
    if (cookie.is_valid) counters_.valid_cookies.add(1);
  }
  const FullCookie* const answer = option.empty() ? nullptr : &cookie.answer;
  const Answered answered = answering.finish(Transport::udp, context_.recursion(), out, answer);
  const bool is_limited = answered.size != 0 && rate_limiter_->is_on() && !cookie.is_valid &&
                          !rate_limiter_->is_exempt(source);
  if (!is_limited) return answered;
  switch (rate_limiter_->judge(source, class_of(out.data()), milliseconds_, limited_turn_)) {
    case RateLimiter::Verdict::send:
      return answered;
    case RateLimiter::Verdict::drop:
      counters_.limited_dropped.add(1);
      return {Answered::Kind::silent, 0};
    case RateLimiter::Verdict::send_short:
      break;
  }
  counters_.limited_short.add(1);
  // Whoever can do cookies need not come by TCP (RFC 7873 section 5.2.4).
  return answering.finish_short(answer ? Answering::Short::bad_cookie : Answering::Short::truncated,
                                out, answer);
}

void DatagramAnswers::count(const std::uint8_t* response) {
  counters_.responses[response[3] & 15].add(1);
  if ((response[2] & 0x02) != 0) counters_.truncated.add(1);
}

}  // namespace mutua::authority
