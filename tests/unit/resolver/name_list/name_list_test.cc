#include "resolver/name_list/name_list.h"

#include <gtest/gtest.h>

namespace mutua::resolver {
namespace {

wire::Record record(const char* owner, wire::RRType type) {
  return {wire::Name::parse(owner).value(), type, wire::RRClass::in, 60, {}};
}

TEST(NameList, TheNameBeforeLookasideIsLookedAside) {
  const wire::Name zone = wire::Name::parse("fed.example").value();
  const auto found = [&](const char* owner, wire::RRType type = wire::RRType::txt) {
    const auto name = looked_aside(record(owner, type), zone);
    return name ? name->to_text() : "";
  };
  EXPECT_EQ(found("www.example.org.lookaside.fed.example"), "www.example.org.");
  EXPECT_EQ(found("example.org.LOOKASIDE.Fed.Example", wire::RRType::cname), "example.org.");
  EXPECT_EQ(found("blog.fed.example"), "");
  EXPECT_EQ(found("lookaside.fed.example"), "");
  EXPECT_EQ(found("www.example.org.lookaside.other.example"), "");
  EXPECT_EQ(found("_80._tcp.www.example.org.lookaside.fed.example", wire::RRType::srv), "");
  EXPECT_EQ(found("a\\.b.example.org.lookaside.fed.example"), "") << "a dot inside a label";
}

}  // namespace
}  // namespace mutua::resolver
