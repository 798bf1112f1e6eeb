#include "authority/server/rate_limiter.h"

#include <gtest/gtest.h>

#include "base/socket_address.h"

namespace mutua::authority {
namespace {

using Class = RateLimiter::Class;
using Verdict = RateLimiter::Verdict;

Bytes source(const std::string& address) {
  return to_bytes(SocketAddress::parse(address, 0).value().address_octets());
}

class RateLimiterTest : public testing::Test {
 protected:
  // How many of `count` go out whole at that time.
  unsigned whole(RateLimiter& limiter, const std::string& from, std::uint32_t now, unsigned count,
                 Class response = Class::positive) {
    unsigned sent = 0;
    for (unsigned i = 0; i < count; ++i) {
      const Verdict verdict = limiter.judge(source(from), response, now, turn_);
      sent += verdict == Verdict::send;
      shortened_ += verdict == Verdict::send_short;
    }
    return sent;
  }

  unsigned turn_ = 0, shortened_ = 0;
};

TEST_F(RateLimiterTest, ANetworkGetsItsRateAndEverySecondOfTheRestSlips) {
  RateLimiter limiter({100, 2, {}});
  EXPECT_EQ(whole(limiter, "192.0.2.1", 5000, 300), 100u);
  EXPECT_EQ(shortened_, 100u);
  EXPECT_EQ(whole(limiter, "192.0.2.200", 5000, 10), 0u);               // the same /24
  EXPECT_EQ(whole(limiter, "192.0.3.1", 5000, 10), 10u);                // another
  EXPECT_EQ(whole(limiter, "192.0.2.1", 5000, 10, Class::error), 10u);  // another class
}

TEST_F(RateLimiterTest, ASlowRateIsGivenWholly) {
  RateLimiter limiter({7, 0, {}});
  EXPECT_EQ(whole(limiter, "192.0.2.1", 0, 7), 7u);  // the burst
  for (std::uint32_t number = 1; number <= 200; ++number)
    EXPECT_EQ(whole(limiter, "192.0.2.1", number * 144, 1), 1u) << number;
}

TEST_F(RateLimiterTest, AFloodStaysCutOffForASecondAfterItsEnd) {
  RateLimiter limiter({100, 0, {}});
  whole(limiter, "192.0.2.1", 0, 1000);
  EXPECT_EQ(whole(limiter, "192.0.2.1", 900, 1), 0u);
  EXPECT_EQ(whole(limiter, "192.0.2.1", 3000, 50), 50u);
}

TEST_F(RateLimiterTest, AnIpv6HostHasItsWholeSiteForItself) {
  RateLimiter limiter({10, 0, {}});
  EXPECT_EQ(whole(limiter, "[2001:db8:1:2::1]", 0, 20), 10u);
  EXPECT_EQ(whole(limiter, "[2001:db8:1:ff::9]", 0, 20), 0u);
  EXPECT_EQ(whole(limiter, "[2001:db8:1:100::9]", 0, 20), 10u);
}

TEST_F(RateLimiterTest, LoopbackIsExemptByDefault) {
  const RateLimiter limiter(RateLimits{});
  EXPECT_TRUE(limiter.is_exempt(source("127.8.8.8")));
  EXPECT_TRUE(limiter.is_exempt(source("[::1]")));
  EXPECT_FALSE(limiter.is_exempt(source("192.0.2.1")));
}

}  // namespace
}  // namespace mutua::authority
