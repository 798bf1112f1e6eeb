#include "authority/access/replay_guard.h"

#include <gtest/gtest.h>

#include <string>

namespace mutua::authority {
namespace {

using Verdict = ReplayGuard::Verdict;

trust::Digest digest(const std::string& text) { return trust::sha256(as_bytes(text)); }
ReplayRow row(const std::string& key, const std::string& what, std::int64_t signed_at) {
  return {digest(key), digest(what), signed_at, WallTime(std::chrono::seconds(signed_at + 100))};
}

Moment at(std::int64_t wall, std::int64_t steady) {
  return {WallTime(std::chrono::seconds(wall)), SteadyTime(std::chrono::seconds(steady))};
}
Moment at(std::int64_t both) { return at(both, both); }

TEST(ReplayGuard, RemembersWhatItWasTold) {
  ReplayGuard guard;
  Transaction transaction;
  guard.remember(row("k", "m", 10), Monotonic::yes, at(0), transaction);
  EXPECT_EQ(transaction.replays.size(), 1u);
  EXPECT_EQ(guard.check(row("k", "m", 10), Monotonic::yes), Verdict::replayed);
  EXPECT_EQ(guard.check(row("k", "n", 10), Monotonic::yes), Verdict::fresh);
  EXPECT_EQ(guard.check(row("k", "n", 9), Monotonic::yes), Verdict::older);
  EXPECT_EQ(guard.check(row("other", "m", 9), Monotonic::yes), Verdict::fresh);
}

TEST(ReplayGuard, SharedKeysMayComeInAnyOrder) {
  ReplayGuard guard;
  Transaction transaction;
  guard.remember(row("k", "m", 10), Monotonic::no, at(0), transaction);
  EXPECT_EQ(guard.check(row("k", "n", 9), Monotonic::no), Verdict::fresh);
  guard.remember(row("k", "n", 9), Monotonic::no, at(0), transaction);
  EXPECT_EQ(guard.check(row("k", "m", 10), Monotonic::no), Verdict::replayed);
  EXPECT_TRUE(transaction.removed_replays.empty());
}

TEST(ReplayGuard, ForAMonotonicKeyOnlyItsNewestSecondIsKept) {
  ReplayGuard guard;
  Transaction transaction;
  guard.remember(row("k", "a", 10), Monotonic::yes, at(0), transaction);
  guard.remember(row("k", "b", 10), Monotonic::yes, at(0), transaction);
  EXPECT_EQ(guard.size(), 2u);
  guard.remember(row("k", "c", 11), Monotonic::yes, at(0), transaction);
  EXPECT_EQ(guard.size(), 1u);
  EXPECT_EQ(transaction.removed_replays.size(), 2u);
  EXPECT_EQ(guard.check(row("k", "a", 10), Monotonic::yes), Verdict::older);
}

TEST(ReplayGuard, IsTheSameAfterARestart) {
  const ReplayGuard guard(
      {row("k", "m", 10), row("k", "n", 10), row("t", "x", 5), row("t", "y", 9)}, at(0));
  EXPECT_EQ(guard.check(row("k", "m", 10), Monotonic::yes), Verdict::replayed);
  EXPECT_EQ(guard.check(row("k", "z", 9), Monotonic::yes), Verdict::older);
  EXPECT_EQ(guard.check(row("t", "x", 5), Monotonic::no), Verdict::replayed);
}

TEST(ReplayGuard, ForgetsWhatExpired) {
  ReplayGuard guard({row("k", "m", 10), row("l", "n", 20)}, at(0));
  Transaction transaction;
  guard.forget_expired(at(110), transaction);
  EXPECT_EQ(guard.size(), 1u);
  EXPECT_EQ(transaction.removed_replays, std::vector<ReplayRow>{row("k", "m", 10)});
  EXPECT_EQ(guard.check(row("l", "n", 20), Monotonic::yes), Verdict::replayed);
}

TEST(ReplayGuard, AClockThatJumpsDoesNotMakeItForget) {
  ReplayGuard guard;
  Transaction transaction;
  guard.remember(row("k", "m", 10), Monotonic::yes, at(10, 10), transaction);
  guard.forget_expired(at(5000, 20), transaction);  // ahead
  EXPECT_EQ(guard.size(), 1u);
  guard.forget_expired(at(5, 5000), transaction);  // back
  EXPECT_EQ(guard.size(), 1u);
  guard.forget_expired(at(110, 5000), transaction);
  EXPECT_EQ(guard.size(), 0u);
}

}  // namespace
}  // namespace mutua::authority
