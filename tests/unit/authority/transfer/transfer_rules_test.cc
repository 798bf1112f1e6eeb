#include "authority/transfer/transfer_rules.h"

#include <gtest/gtest.h>

namespace mutua::authority {
namespace {

SocketAddress at(const std::string& text) { return SocketAddress::parse(text, 53).value(); }
wire::Name name(const std::string& text) { return wire::Name::parse(text).value(); }

bool contains(const std::string& prefix, const std::string& address) {
  return AddressPrefix::parse(prefix).value().contains(at(address));
}

TEST(AddressPrefix, HoldsTheAddressesThatBeginSo) {
  EXPECT_TRUE(contains("192.0.2.0/24", "192.0.2.255:1"));
  EXPECT_FALSE(contains("192.0.2.0/24", "192.0.3.0"));
  EXPECT_TRUE(contains("192.0.2.128/25", "192.0.2.129"));
  EXPECT_FALSE(contains("192.0.2.128/25", "192.0.2.127"));
  EXPECT_TRUE(contains("192.0.2.1", "192.0.2.1"));
  EXPECT_FALSE(contains("192.0.2.1", "192.0.2.2"));
  EXPECT_TRUE(contains("0.0.0.0/0", "203.0.113.7"));
  EXPECT_TRUE(contains("2001:db8::/33", "[2001:db8:7fff::1]:53"));
  EXPECT_FALSE(contains("2001:db8::/33", "[2001:db8:8000::1]:53"));
  EXPECT_FALSE(contains("0.0.0.0/0", "[::1]:53"));
}

TEST(AddressPrefix, RefusesWhatIsNone) {
  for (const char* text : {"", "x", "192.0.2.0/33", "192.0.2.0/-1", "192.0.2.0/", "192.0.2.0/8x",
                           "192.0.2.1/24", "2001:db8::1/64", "::/129", "192.0.2.1:53"})
    EXPECT_FALSE(AddressPrefix::parse(text).ok()) << text;
}

TEST(TransferRules, AddressAndKeyMustBothFit) {
  const std::vector<TransferRule> rules{
      {AddressPrefix::parse("192.0.2.0/24").value(), name("k")},
      {AddressPrefix::parse("198.51.100.1").value(), std::nullopt}};
  EXPECT_TRUE(permits(rules, at("192.0.2.1"), false, name("K")));
  EXPECT_FALSE(permits(rules, at("192.0.2.1"), false, name("other")));
  EXPECT_FALSE(permits(rules, at("192.0.2.1"), false, std::nullopt));
  EXPECT_FALSE(permits(rules, at("203.0.113.1"), false, name("k")));
  EXPECT_TRUE(permits(rules, at("198.51.100.1"), false, std::nullopt));
  EXPECT_TRUE(permits(rules, at("198.51.100.1"), false, name("other")));
  EXPECT_FALSE(permits({}, at("192.0.2.1"), false, name("k")));
}

}  // namespace
}  // namespace mutua::authority
