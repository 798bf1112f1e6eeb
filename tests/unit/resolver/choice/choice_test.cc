#include "resolver/choice/choice.h"
#include "resolver/choice/service_port.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace mutua::resolver {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

const SteadyTime kNow = SteadyTime() + std::chrono::hours(24);

Candidate candidate(unsigned number, std::uint16_t priority = 0, std::uint16_t weight = 0) {
  const std::uint8_t octets[] = {192, 0, 2, static_cast<std::uint8_t>(number)};
  return {SocketAddress::from_octets(octets, 80).value(), priority, weight,
          "peer" + std::to_string(number)};
}

std::vector<Candidate> candidates(unsigned count) {
  std::vector<Candidate> all;
  for (unsigned i = 0; i < count; ++i) all.push_back(candidate(i));
  return all;
}

Health measured(microseconds rtt, double bandwidth = 0) {
  Health health;
  health.visits = 1;
  health.smoothed_rtt = rtt;
  if (bandwidth > 0) health.bandwidth = bandwidth;
  health.measured_at = kNow - seconds(1);
  return health;
}

Health held(seconds left) {
  Health health;
  health.visits = 3;
  health.consecutive_failures = 2;
  health.last_failure = "Connection refused";
  health.held_until = kNow + left;
  return health;
}

std::vector<std::size_t> order(const std::vector<Candidate>& all, const std::vector<Health>& health,
                               std::uint64_t seed = 1) {
  std::vector<std::size_t> result;
  for (const Ranked& ranked : rank(all, health, Policy{}, seed, kNow))
    result.push_back(ranked.index);
  return result;
}

using Order = std::vector<std::size_t>;

TEST(Choice, VisitsEverybodyInTurnAndThenStaysWithTheBest) {
  const auto all = candidates(5);
  std::vector<Health> health(5);
  std::map<std::size_t, int> chosen;
  for (int request = 0; request < 5; ++request) {
    const std::size_t first = order(all, health, static_cast<std::uint64_t>(request))[0];
    ++chosen[first];
    health[first] = measured(milliseconds(10 * (5 - static_cast<int>(first))));
  }
  EXPECT_EQ(chosen.size(), 5u) << "each was chosen exactly once";
  for (std::uint64_t seed = 0; seed < 100; ++seed) EXPECT_EQ(order(all, health, seed)[0], 4u);
}

TEST(Choice, APeerWhoseVisitIsUnderWayIsNotVisitedAgainBeforeTheOthers) {
  std::vector<Health> health(3);
  health[0].visits = 1;
  health[2].visits = 1;
  EXPECT_EQ(order(candidates(3), health)[0], 1u);
}

TEST(Choice, LatencyDecidesSmallTransfersAndBandwidthLargeOnes) {
  const auto all = candidates(2);
  const std::vector<Health> health = {measured(milliseconds(5), 200'000),
                                      measured(milliseconds(40), 50e6)};
  Policy small, large;
  small.typical_octets = 1'000;
  large.typical_octets = 10e6;
  EXPECT_EQ(rank(all, health, small, 1, kNow)[0].index, 0u);
  EXPECT_EQ(rank(all, health, large, 1, kNow)[0].index, 1u);
}

TEST(Choice, AnUnknownBandwidthIsHopedToBeTheBestKnown) {
  EXPECT_EQ(
      order(candidates(2), {measured(milliseconds(5), 100'000), measured(milliseconds(6))})[0], 1u);
}

TEST(Choice, TheLowerPriorityGoesFirstEvenWhenUnmeasuredOrSlower) {
  const std::vector<Candidate> all = {candidate(0, 20), candidate(1, 10), candidate(2, 10)};
  EXPECT_EQ(order(all, {measured(milliseconds(1)), measured(milliseconds(90)),
                        measured(milliseconds(50))}),
            (Order{2, 1, 0}));
  EXPECT_EQ(order(all, {Health{}, measured(milliseconds(90)), measured(milliseconds(50))}),
            (Order{2, 1, 0}));
}

TEST(Choice, HeldPeersGoLastBehindEveryPriorityTheSoonestReleasedFirst) {
  const std::vector<Candidate> all = {candidate(0, 1), candidate(1, 1), candidate(2, 9)};
  EXPECT_EQ(order(all, {held(seconds(9)), held(seconds(3)), measured(milliseconds(80))}),
            (Order{2, 1, 0}));
}

TEST(Choice, APeerWhoseHoldIsOverIsDoubtedUntilAProbeReachesIt) {
  Health health = held(seconds(0));
  health.smoothed_rtt = milliseconds(1);
  health.measured_at = kNow - seconds(5);
  const auto ranked = rank(candidates(3), {health, held(seconds(5)), measured(milliseconds(90))},
                           Policy{}, 1, kNow);
  EXPECT_EQ(ranked[1].standing, Standing::doubted);
  EXPECT_EQ((Order{ranked[0].index, ranked[1].index, ranked[2].index}), (Order{2, 0, 1}));
  EXPECT_NE(explain(ranked[1], health, Policy{}, kNow).find("no probe"), std::string::npos);
  health = after_probe(health, milliseconds(1), kNow);
  EXPECT_EQ(order(candidates(2), {health, measured(milliseconds(90))}), (Order{0, 1}));
}

TEST(Choice, DoubtLastsAsLongAsAMeasurementIsWorth) {
  const Health health = held(seconds(-600));
  EXPECT_EQ(rank({candidate(0)}, {health}, Policy{}, 1, kNow)[0].standing, Standing::unvisited);
}

TEST(Choice, AnOldMeasurementIsTakenAgainWhereThePeerMayBeTheBest) {
  std::vector<Health> health = {measured(milliseconds(20), 2e6), measured(milliseconds(15), 1e6)};
  EXPECT_EQ(order(candidates(2), health), (Order{0, 1}));
  health[1].measured_at = kNow - std::chrono::minutes(11);
  const auto ranked = rank(candidates(2), health, Policy{}, 1, kNow);
  EXPECT_EQ(ranked[0].index, 1u);
  EXPECT_EQ(ranked[0].standing, Standing::unvisited);
  EXPECT_NE(explain(ranked[0], health[1], Policy{}, kNow).find("old"), std::string::npos);
}

TEST(Choice, AnOldMeasurementIsKeptWhereTheRoundTripAloneLoses) {
  std::vector<Health> health = {measured(milliseconds(1), 1e8), measured(milliseconds(50), 1e6)};
  health[1].measured_at = kNow - std::chrono::minutes(11);
  const auto ranked = rank(candidates(2), health, Policy{}, 1, kNow);
  EXPECT_EQ(ranked[0].index, 0u);
  EXPECT_EQ(ranked[1].standing, Standing::measured);
}

TEST(Choice, TheBestItselfIsMeasuredAgain) {
  std::vector<Health> health = {measured(milliseconds(1), 1e8), measured(milliseconds(50), 1e6)};
  health[0].measured_at = kNow - std::chrono::minutes(11);
  EXPECT_EQ(rank(candidates(2), health, Policy{}, 1, kNow)[0].standing, Standing::unvisited);
}

TEST(Choice, WeightsAreTheChancesToBeVisitedFirst) {
  const std::vector<Candidate> all = {candidate(0, 0, 10), candidate(1, 0, 30), candidate(2, 0, 0)};
  std::map<std::size_t, int> first;
  for (std::uint64_t seed = 0; seed < 20'000; ++seed)
    ++first[order(all, std::vector<Health>(3), seed)[0]];
  EXPECT_NEAR(first[0], 5'000, 400);
  EXPECT_NEAR(first[1], 15'000, 400);
  EXPECT_LT(first[2], 50);
}

TEST(Choice, AmongNearlyEqualPredictionsTheGreaterWeightGoesFirst) {
  const std::vector<Candidate> all = {candidate(0, 0, 1), candidate(1, 0, 9), candidate(2, 0, 99)};
  EXPECT_EQ(order(all, {measured(milliseconds(20)), measured(milliseconds(20) + microseconds(300)),
                        measured(milliseconds(80))}),
            (Order{1, 0, 2}));
}

TEST(Choice, PredictionCountsRoundsOfSlowStart) {
  // 14,600 octets fit into the first window; 200,000 need 10 + 20 + 40 + 80 segments before the
  // last.
  EXPECT_EQ(predicted_time(milliseconds(100), 1e12, 14'600).count(), 200'000);
  EXPECT_NEAR(static_cast<double>(predicted_time(milliseconds(100), 1e12, 200'000).count()),
              500'000, 1000);
  // A path that the first window fills is as slow as its bandwidth.
  EXPECT_EQ(predicted_time(milliseconds(10), 100'000, 200'000).count(), 20'000 + 2'000'000);
}

TEST(Choice, ReasonsNameWhatDecided) {
  const std::vector<Health> health = {Health{}, measured(milliseconds(12), 3e6), held(seconds(4))};
  const auto ranked = rank(candidates(3), health, Policy{}, 1, kNow);
  EXPECT_EQ(explain(ranked[0], health[0], Policy{}, kNow), "not visited yet");
  EXPECT_NE(explain(ranked[1], health[1], Policy{}, kNow).find("rtt 12.00 ms, 3.00 MB/s"),
            std::string::npos);
  EXPECT_NE(explain(ranked[2], health[2], Policy{}, kNow)
                .find("4.0 s more after 2 failure(s) in a row: Connection"),
            std::string::npos);
}

// Properties of arbitrary lists: a permutation, the same for the same arguments, standings in order
// within a priority, nobody before a better prediction by more than the near-tie margin.
TEST(Choice, OrdersOfArbitraryListsAreSound) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 3'000; ++round) {
    const auto count = static_cast<unsigned>(random() % 12);
    std::vector<Candidate> all;
    std::vector<Health> health;
    for (unsigned i = 0; i < count; ++i) {
      all.push_back(candidate(i, static_cast<std::uint16_t>(random() % 3),
                              static_cast<std::uint16_t>(random() % 4)));
      switch (random() % 3) {
        case 0:
          health.emplace_back();
          break;
        case 1:
          health.push_back(measured(microseconds(1 + random() % 200'000),
                                    static_cast<double>(random() % 100'000'000)));
          break;
        default:
          health.push_back(held(seconds(random() % 60)));
          break;
      }
    }
    const auto ranked = rank(all, health, Policy{}, random(), kNow);
    ASSERT_EQ(ranked.size(), all.size());
    std::vector<bool> seen(count, false);
    for (const Ranked& one : ranked) {
      ASSERT_FALSE(seen.at(one.index));
      seen.at(one.index) = true;
      ASSERT_EQ(one.standing == Standing::held, health[one.index].is_held(kNow));
      ASSERT_EQ(one.predicted.has_value(), one.standing == Standing::measured);
    }
    for (std::size_t i = 1; i < ranked.size(); ++i) {
      const Ranked &before = ranked[i - 1], &after = ranked[i];
      if (before.standing >= Standing::doubted) {
        ASSERT_GE(after.standing, before.standing);
      }
      if (after.standing >= Standing::doubted) continue;
      ASSERT_LE(all[before.index].priority, all[after.index].priority);
      if (all[before.index].priority != all[after.index].priority) continue;
      ASSERT_LE(before.standing, after.standing);
      if (before.standing == Standing::measured && after.standing == Standing::measured) {
        ASSERT_LE(before.predicted->count() * 100, after.predicted->count() * 111 + 100);
      }
    }
  }
}

TEST(ServicePort, ReadsAndWritesOnlyPortsWithTheirTransport) {
  EXPECT_EQ(to_text(parse_service_port("80/tcp").value()), "80/tcp");
  EXPECT_EQ(to_text(parse_service_port("65535/udp").value()), "65535/udp");
  for (const char* wrong : {"", "80", "0/tcp", "65536/tcp", "80/sctp", "-1/tcp", "80/tcp ",
                            " 80/tcp", "8 0/tcp", "/tcp"}) {
    EXPECT_FALSE(parse_service_port(wrong).has_value()) << wrong;
  }
}

TEST(Choice, NowAndThenAPeerThatCouldBeBetterGoesFirstTheOneMeasuredLongestAgo) {
  const auto all = candidates(4);
  std::vector<Health> health = {measured(milliseconds(10), 1e7), measured(milliseconds(15), 1e5),
                                measured(milliseconds(12), 1e5), measured(seconds(2), 1e7)};
  health[1].measured_at -= seconds(100);
  health[3].measured_at -= seconds(200);  // its round trip alone is too long
  Policy policy;
  policy.explore = 1;
  EXPECT_EQ(rank(all, health, policy, 1, kNow).front().index, 1u);
  policy.explore = 0;
  EXPECT_EQ(rank(all, health, policy, 1, kNow).front().index, 0u);
  std::map<std::size_t, unsigned> first;
  for (std::uint64_t seed = 0; seed < 100'000; ++seed)
    ++first[rank(all, health, Policy{}, seed, kNow).front().index];
  EXPECT_NEAR(first[1], 200, 60);
  EXPECT_EQ(first[0] + first[1], 100'000u);
}

TEST(Choice, ExplorationNeverTouchesFirstVisitsOrOtherPriorities) {
  Policy policy;
  policy.explore = 1;
  const std::vector<Candidate> two = {candidate(0, 1), candidate(1, 2)};
  EXPECT_EQ(rank(two, {measured(milliseconds(9)), measured(milliseconds(1))}, policy, 5, kNow)
                .front()
                .index,
            0u);
  EXPECT_EQ(
      rank(candidates(2), {measured(milliseconds(9)), Health{}}, policy, 5, kNow).front().index,
      1u);
}

TEST(Choice, TheStalestIsTheMeasuredPeerHeardOfLongestAgo) {
  std::vector<Health> health = {measured(milliseconds(1)), measured(milliseconds(1)), Health{},
                                held(seconds(5))};
  EXPECT_FALSE(stalest({}, Policy{}, kNow));
  health[1].measured_at -= seconds(9);
  EXPECT_EQ(stalest(health, Policy{}, kNow), 1u);
  health[1].probed_at = kNow;
  EXPECT_EQ(stalest(health, Policy{}, kNow), 0u);
  EXPECT_FALSE(stalest({Health{}, held(seconds(5)), held(seconds(0))}, Policy{}, kNow));
}

TEST(Choice, TheDoubtedPeerIsTheOneWhoseHoldIsOver) {
  using Found = std::vector<std::size_t>;
  EXPECT_EQ(doubted({Health{}, measured(milliseconds(1)), held(seconds(5))}, Policy{}, kNow),
            Found{});
  EXPECT_EQ(doubted({held(seconds(0)), held(seconds(5)), held(seconds(0))}, Policy{}, kNow),
            (Found{0, 2}));
}

}  // namespace
}  // namespace mutua::resolver
