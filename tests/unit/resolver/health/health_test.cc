#include "resolver/health/health.h"

#include <gtest/gtest.h>

#include "resolver/health/bandwidth_meter.h"
#include "resolver/health/health_table.h"

namespace mutua::resolver {
namespace {

using namespace std::chrono_literals;

const SteadyTime kStart = SteadyTime() + 1h;

TEST(Health, TheFirstRttIsTakenAndLaterOnesAreSmoothed) {
  Health health = after_rtt({}, 10ms, kStart);
  EXPECT_EQ(health.smoothed_rtt, 10ms);
  health = after_rtt(health, 18ms, kStart);
  EXPECT_EQ(health.smoothed_rtt, 11ms);
  health = after_rtt(health, 100ms, kStart);
  EXPECT_EQ(health.smoothed_rtt, 55500us) << "a path that changed is believed faster";
}

TEST(Health, FailuresInARowHoldAPeerDownTwiceAsLongEachTime) {
  Health health;
  SteadyTime now = kStart;
  for (const auto hold : {1s, 2s, 4s, 8s, 16s, 32s, 64s, 128s, 256s, 300s, 300s}) {
    health = after_failure(health, "refused", now);
    EXPECT_EQ(health.held_until - now, hold);
    EXPECT_TRUE(health.is_held(now));
    EXPECT_FALSE(health.is_held(now + hold));
    now += hold;
  }
}

TEST(Health, ConnectionsThatFailTogetherAreOneFailure) {
  const Health once = after_failure({}, "no answer", kStart);
  const Health again = after_failure(once, "no answer", kStart + 100ms);
  EXPECT_EQ(again.consecutive_failures, 1u);
  EXPECT_EQ(again.held_until, once.held_until);
}

TEST(Health, APeerWhoseAnswerIsOverdueIsAvoidedUntilItAnswersOrAWhileHasPassed) {
  EXPECT_EQ(overdue_after(std::nullopt, 3ms), 5ms);
  EXPECT_EQ(overdue_after(5ms, 3ms), 13ms);
  EXPECT_EQ(overdue_after(10s, 7ms), 1s);
  const Health suspect = after_overdue(after_rtt({}, 5ms, kStart), kStart);
  EXPECT_TRUE(suspect.is_held(kStart + 400ms));
  EXPECT_FALSE(suspect.is_held(kStart + 500ms));
  EXPECT_EQ(suspect.consecutive_failures, 0u);
  EXPECT_FALSE(after_rtt(suspect, 5ms, kStart + 1ms).is_held(kStart + 2ms));
  EXPECT_EQ(after_failure(suspect, "no answer", kStart + 1ms).consecutive_failures, 1u);
}

TEST(Health, PatienceWithAPeerIsWorthWhatItCostsToGoElsewhere) {
  EXPECT_EQ(overdue_after(100us, 0ms), 3ms) << "next to nothing";
  EXPECT_EQ(overdue_after(100us, -5ms), 3ms) << "less than nothing: the order has its reasons";
  EXPECT_EQ(overdue_after(100us, 4ms), 5ms);
  EXPECT_EQ(overdue_after(100us, std::chrono::microseconds::max()), 6ms) << "a black hole is worse";
  EXPECT_EQ(late_after(100us, 1ms), 3ms);
  EXPECT_EQ(late_after(100us, 90ms), 91ms) << "slow, but still the best";
  EXPECT_EQ(late_after(100us, std::chrono::microseconds::max()), 1001ms);
}

TEST(Health, OneSuccessEndsTheHold) {
  Health health = after_failure(after_failure({}, "refused", kStart), "refused", kStart + 1s);
  health = after_success(health, kStart + 2s);
  EXPECT_FALSE(health.is_held(kStart + 2s));
  EXPECT_EQ(after_failure(health, "refused", kStart + 2s).held_until - kStart, 3s);
}

TEST(Health, BandwidthIsAveragedOverConnections) {
  Health health = after_transfer({}, 1e6, 1'000'000, kStart);
  EXPECT_DOUBLE_EQ(*health.bandwidth, 1e6);
  health = after_transfer(health, 2e6, 1'000'000, kStart);
  EXPECT_DOUBLE_EQ(*health.bandwidth, 1.5e6);
}

TEST(Health, AShortConnectionSaysLittleAboutBandwidth) {
  Health health = after_transfer({}, 1e6, 1'000'000, kStart);
  health = after_transfer(health, 2e6, 30'000, kStart);
  EXPECT_DOUBLE_EQ(*health.bandwidth, 1.05e6);
}

TEST(Health, AShortConnectionInSlowStartSaysOnlyThatThePathIsAtLeastSoFast) {
  // 58,400 octets take three round trips at any bandwidth: 0.97 MB/s.
  Health health = after_transfer(after_rtt({}, 20ms, kStart), 5e6, 1'000'000, kStart);
  EXPECT_DOUBLE_EQ(*after_transfer(health, 0.9e6, 58'400, kStart).bandwidth, 5e6);
  EXPECT_GT(*after_transfer(health, 6e6, 58'400, kStart).bandwidth, 5e6);
}

TEST(Health, AShortConnectionThatWasSlowerThanSlowStartShowsThePath) {
  const Health health = after_transfer(after_rtt({}, 20ms, kStart), 5e6, 1'000'000, kStart);
  EXPECT_NEAR(*after_transfer(health, 0.1e6, 58'400, kStart).bandwidth, 3.04e6, 1);
}

TEST(Health, AProbeOfTheKnownPathRefinesItAndOfAnotherPathForgetsIt) {
  Health health = after_transfer(after_rtt({}, 10ms, kStart), 1e6, 1'000'000, kStart);
  const Health same = after_probe(health, 15ms, kStart + 1s);
  EXPECT_EQ(same.smoothed_rtt, 11500us);
  EXPECT_EQ(same.measured_at, kStart) << "a probe is no visit";
  EXPECT_EQ(same.probed_at, kStart + 1s);
  for (const auto rtt : {18ms, 5ms}) {
    const Health other = after_probe(health, rtt, kStart + 1s);
    EXPECT_FALSE(other.smoothed_rtt || other.bandwidth) << rtt.count();
  }
  EXPECT_FALSE(after_probe({}, 5ms, kStart).smoothed_rtt)
      << "never visited: nothing to compare with";
}

TEST(BandwidthMeter, ASteadyStreamIsMeasuredAsItIs) {
  BandwidthMeter meter(10ms);
  for (int i = 0; i <= 1000; ++i) meter.received(12'500, kStart + i * 1ms);
  EXPECT_NEAR(*meter.best(), 12.5e6, 0.02 * 12.5e6);
  EXPECT_EQ(meter.total(), 12'512'500u);
}

TEST(BandwidthMeter, PausesDoNotCount) {
  BandwidthMeter meter(10ms);
  for (int burst = 0; burst < 5; ++burst) {
    for (int i = 0; i <= 200; ++i) meter.received(10'000, kStart + burst * 60s + i * 1ms);
  }
  EXPECT_NEAR(*meter.best(), 10e6, 0.02 * 10e6);
}

TEST(BandwidthMeter, AWindowIsFourRoundTripsLong) {
  BandwidthMeter meter(500ms);
  // A burst of 100 ms in each second, as a path with a short queue delivers: the window of 2 s
  // must not take the burst for the rate.
  for (int second = 0; second < 10; ++second) {
    for (int i = 0; i < 100; ++i) meter.received(10'000, kStart + second * 1s + i * 1ms);
  }
  EXPECT_LT(*meter.best(), 1.6e6);
}

TEST(BandwidthMeter, AShortAnswerSaysNothing) {
  BandwidthMeter meter(10ms);
  meter.received(500'000, kStart);
  EXPECT_FALSE(meter.best().has_value()) << "one read has no duration";
  meter.received(1'000, kStart + 6ms);
  EXPECT_FALSE(meter.best().has_value()) << "too little since the window opened";
}

TEST(BandwidthMeter, PiecesShorterThanAWindowCountWhereNoneWasFilled) {
  BandwidthMeter meter(10ms);
  for (int piece = 0; piece < 3; ++piece) {
    for (int i = 0; i <= 50; ++i) meter.received(10'000, kStart + piece * 1s + i * 1ms);
  }
  meter.received(1, kStart + 60s);
  ASSERT_TRUE(meter.best().has_value());
  EXPECT_NEAR(*meter.best(), 10e6, 0.02 * 10e6);
}

TEST(HealthTable, ForgetsThePeerThatWasUnusedForLongest) {
  HealthTable table(2);
  const auto peer = [](const char* text) { return SocketAddress::parse(text).value(); };
  const auto visit = [](Health health) { return after_attempt(std::move(health), kStart); };
  table.update(peer("192.0.2.1:80"), visit);
  table.update(peer("192.0.2.2:80"), visit);
  table.update(peer("192.0.2.1:80"), visit);
  table.update(peer("192.0.2.3:80"), visit);
  const auto found = table.find({peer("192.0.2.1:80"), peer("192.0.2.2:80"), peer("192.0.2.3:80")});
  EXPECT_EQ(found[0].visits, 2u);
  EXPECT_EQ(found[1].visits, 0u);
  EXPECT_EQ(found[2].visits, 1u);
  EXPECT_EQ(table.size(), 2u);
}

TEST(HealthTable, TheSameAddressWithAnotherPortIsAnotherPeer) {
  HealthTable table(10);
  const auto one = SocketAddress::parse("192.0.2.1:80").value(),
             other = SocketAddress::parse("192.0.2.1:81").value();
  table.update(one,
               [](Health health) { return after_failure(std::move(health), "refused", kStart); });
  EXPECT_EQ(table.find({other})[0].consecutive_failures, 0u);
}

}  // namespace
}  // namespace mutua::resolver
