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

TEST(ReplayGuard, RemembersWhatItWasTold) {
  ReplayGuard guard;
  Transaction transaction;
  guard.remember(row("k", "m", 10), Monotonic::yes, transaction);
  EXPECT_EQ(transaction.replays.size(), 1u);
  EXPECT_EQ(guard.check(row("k", "m", 10), Monotonic::yes), Verdict::replayed);
  EXPECT_EQ(guard.check(row("k", "n", 10), Monotonic::yes), Verdict::fresh);
  EXPECT_EQ(guard.check(row("k", "n", 9), Monotonic::yes), Verdict::older);
  EXPECT_EQ(guard.check(row("other", "m", 9), Monotonic::yes), Verdict::fresh);
}

TEST(ReplayGuard, SharedKeysMayComeInAnyOrder) {
  ReplayGuard guard;
  Transaction transaction;
  guard.remember(row("k", "m", 10), Monotonic::no, transaction);
  EXPECT_EQ(guard.check(row("k", "n", 9), Monotonic::no), Verdict::fresh);
  guard.remember(row("k", "n", 9), Monotonic::no, transaction);
  EXPECT_EQ(guard.check(row("k", "m", 10), Monotonic::no), Verdict::replayed);
  EXPECT_TRUE(transaction.removed_replays.empty());
}

TEST(ReplayGuard, ForAMonotonicKeyOnlyItsNewestSecondIsKept) {
  ReplayGuard guard;
  Transaction transaction;
  guard.remember(row("k", "a", 10), Monotonic::yes, transaction);
  guard.remember(row("k", "b", 10), Monotonic::yes, transaction);
  EXPECT_EQ(guard.size(), 2u);
  guard.remember(row("k", "c", 11), Monotonic::yes, transaction);
  EXPECT_EQ(guard.size(), 1u);
  EXPECT_EQ(transaction.removed_replays.size(), 2u);
  EXPECT_EQ(guard.check(row("k", "a", 10), Monotonic::yes), Verdict::older);
}

TEST(ReplayGuard, IsTheSameAfterARestart) {
  const ReplayGuard guard(
      {row("k", "m", 10), row("k", "n", 10), row("t", "x", 5), row("t", "y", 9)});
  EXPECT_EQ(guard.check(row("k", "m", 10), Monotonic::yes), Verdict::replayed);
  EXPECT_EQ(guard.check(row("k", "z", 9), Monotonic::yes), Verdict::older);
  EXPECT_EQ(guard.check(row("t", "x", 5), Monotonic::no), Verdict::replayed);
}

TEST(ReplayGuard, ForgetsWhatExpired) {
  ReplayGuard guard({row("k", "m", 10), row("l", "n", 20)});
  Transaction transaction;
  guard.forget_expired(WallTime(std::chrono::seconds(110)), transaction);
  EXPECT_EQ(guard.size(), 1u);
  EXPECT_EQ(transaction.removed_replays, std::vector<ReplayRow>{row("k", "m", 10)});
  EXPECT_EQ(guard.check(row("l", "n", 20), Monotonic::yes), Verdict::replayed);
}

}  // namespace
}  // namespace mutua::authority
