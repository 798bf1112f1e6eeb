#include "authority/zone/change_history.h"

#include <gtest/gtest.h>

namespace mutua::authority {
namespace {

ChangeSet step(std::uint32_t from, std::size_t size = 1) {
  return {from, from + 1, std::vector<RRsetChange>(size)};
}

std::vector<std::uint32_t> serials(const std::optional<ChangeHistory::Path>& path) {
  std::vector<std::uint32_t> all;
  if (path)
    for (const auto& one : *path) all.push_back(one->from);
  return all;
}

TEST(ChangeHistory, LeadsFromOneSerialToAnother) {
  ChangeHistory history;
  for (std::uint32_t serial = 1; serial < 6; ++serial) history.add(step(serial));
  EXPECT_EQ(serials(history.path(2, 5)), (std::vector<std::uint32_t>{2, 3, 4}));
  EXPECT_EQ(serials(history.path(5, 6)), (std::vector<std::uint32_t>{5}));
  ASSERT_TRUE(history.path(6, 6));
  EXPECT_TRUE(history.path(6, 6)->empty());
  EXPECT_FALSE(history.path(5, 2));
  EXPECT_FALSE(history.path(0, 6));
  EXPECT_FALSE(history.path(1, 9));
}

TEST(ChangeHistory, FollowsSerialsThatWrap) {
  ChangeHistory history;
  for (const std::uint32_t serial : {0xFFFFFFFEu, 0xFFFFFFFFu, 0u}) history.add(step(serial));
  EXPECT_EQ(serials(history.path(0xFFFFFFFF, 1)), (std::vector<std::uint32_t>{0xFFFFFFFF, 0}));
}

TEST(ChangeHistory, ForgetsTheOldestWhereThereIsNoRoom) {
  ChangeHistory history(5);
  for (std::uint32_t serial = 1; serial < 6; ++serial) history.add(step(serial, 2));
  EXPECT_FALSE(history.path(3, 6));
  EXPECT_TRUE(history.path(4, 6));
  history.add(step(6, 100));  // the newest stays
  EXPECT_TRUE(history.path(6, 7));
  EXPECT_FALSE(history.path(5, 7));
}

TEST(ChangeHistory, AGapBeginsItAnew) {
  ChangeHistory history;
  history.add(step(1));
  history.add(step(7));
  EXPECT_FALSE(history.path(1, 8));
  EXPECT_TRUE(history.path(7, 8));
}

}  // namespace
}  // namespace mutua::authority
