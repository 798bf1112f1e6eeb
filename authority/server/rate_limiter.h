#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "authority/transfer/transfer_rules.h"
#include "base/bytes.h"

namespace mutua::authority {

struct RateLimits {
  unsigned per_second = 1000;  // responses of one class to one network; 0: no limit
  unsigned slip = 2;           // every so manieth response too many goes out short; 0: none does
  std::vector<AddressPrefix> exempt = default_exempt();

  // Nobody reflects anything off a loopback address.
  static std::vector<AddressPrefix> default_exempt();
};

// Response rate limiting: what leaves by UDP towards one network (an IPv4 /24, an IPv6 /56) in one
// class of responses, so that forged questions do not make the server a weapon. The short response
// that slips through lets an honest client in that network come again, by TCP or with a cookie.
//
// One table for all threads, of a fixed size: a network takes the place of another with the same
// hash, which forgets what was counted. One relaxed load and store for each response; where two
// threads meet, one count is lost. No lock, no allocation.
class RateLimiter {
 public:
  enum class Class : std::uint8_t { positive, negative, error };
  enum class Verdict { send, send_short, drop };

  explicit RateLimiter(RateLimits limits);

  bool is_on() const { return limits_.per_second != 0; }
  bool is_exempt(BytesView source) const;
  // `source`: 4 or 16 octets; `now`: milliseconds of a clock that does not go back.
  // `turn` counts what was too much; it is the caller's thread's own.
  Verdict judge(BytesView source, Class response, std::uint32_t now, unsigned& turn);

 private:
  const RateLimits limits_;
  const std::uint64_t seed_;
  std::unique_ptr<std::atomic<std::uint64_t>[]> buckets_;
};

}  // namespace mutua::authority
