#include "authority/update/lease_table.h"

#include <gtest/gtest.h>

namespace mutua::authority {
namespace {

wire::Name name(std::string_view text) { return wire::Name::parse(text).value(); }
WallTime at(int seconds) { return WallTime(std::chrono::seconds(seconds)); }
LeaseRow row(std::string_view owner, std::string_view host, std::optional<WallTime> expiry,
             WallTime key_expiry) {
  return {name(owner), name(host), {}, expiry, key_expiry};
}

TEST(LeaseTable, TellsWhatIsDueEarliestFirst) {
  LeaseTable table({row("b.t", "h.t", at(20), at(99)), row("a.t", "h.t", at(10), at(99)),
                    row("h.t", "h.t", std::nullopt, at(15))});
  EXPECT_EQ(table.next_due(), at(10));
  EXPECT_TRUE(table.due(at(9), 10).empty());
  const auto due = table.due(at(15), 10);
  ASSERT_EQ(due.size(), 2u);
  EXPECT_EQ(due[0].owner, name("a.t"));
  EXPECT_EQ(due[1].owner, name("h.t"));  // its records are gone: the name itself is due
  EXPECT_EQ(table.due(at(99), 1).size(), 1u);
}

TEST(LeaseTable, ARenewedRowIsDueLater) {
  LeaseTable table({row("a.t", "h.t", at(10), at(99))});
  table.put(row("A.T", "h.t", at(50), at(99)));
  EXPECT_EQ(table.size(), 1u);
  EXPECT_EQ(table.next_due(), at(50));
}

TEST(LeaseTable, FindsTheRowsOfAHost) {
  LeaseTable table({row("h.t", "h.t", at(10), at(99)), row("a.t", "h.t", at(10), at(99)),
                    row("b.t", "other.t", at(10), at(99))});
  EXPECT_EQ(table.of_host(name("H.t")).size(), 2u);
  table.put(row("a.t", "other.t", at(10), at(99)));  // moved
  EXPECT_EQ(table.of_host(name("h.t")).size(), 1u);
  EXPECT_EQ(table.of_host(name("other.t")).size(), 2u);
  table.remove(name("h.t"));
  table.remove(name("h.t"));
  EXPECT_TRUE(table.of_host(name("h.t")).empty());
  EXPECT_EQ(table.find(name("h.t")), nullptr);
}

}  // namespace
}  // namespace mutua::authority
