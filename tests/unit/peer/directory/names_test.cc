#include "peer/directory/names.h"

#include <gtest/gtest.h>

#include "peer/directory/tokens.h"
#include "wire/rdata.h"

namespace mutua::peer {
namespace {

TEST(ZoneNames, ForeignHostnamesLiveBelowLookaside) {
  const ZoneNames names(wire::Name::parse("fed.test").value());
  EXPECT_EQ(names.service("Blog.Fed.Test.").value().to_text(), "blog.fed.test.");
  EXPECT_EQ(names.service("www.example.org").value().to_text(),
            "www.example.org.lookaside.fed.test.");
  EXPECT_EQ(names.host("p").value().to_text(), "p.peers.fed.test.");
  const auto service = names.service("blog.fed.test").value();
  EXPECT_EQ(port_name(service, 80, "tcp").value().to_text(), "_80._tcp.blog.fed.test.");
  EXPECT_EQ(denial_name(service, "p").value().to_text(), "p._deny.blog.fed.test.");
}

TEST(ZoneNames, OnlyHostnamesAreHostnames) {
  EXPECT_EQ(canonical_hostname("WWW.Example.").value(), "www.example");
  for (const std::string text : {"", ".", "a..b", "../x", "a/b", "a_b", "a b", ".a", "*.a"}) {
    EXPECT_FALSE(canonical_hostname(text).ok()) << text;
  }
  EXPECT_FALSE(canonical_hostname(std::string(64, 'a')).ok());
  EXPECT_FALSE(canonical_hostname(std::string(254, 'a')).ok());
}

TEST(Tokens, StandApartByBlanksOrStrings) {
  const auto tokens = parse_tokens(wire::make_txt({"v=1 a=x=y", "b="}).value()).value();
  EXPECT_EQ(tokens, (std::map<std::string, std::string>{{"v", "1"}, {"a", "x=y"}, {"b", ""}}));
  EXPECT_FALSE(parse_tokens(wire::make_txt({"v"}).value()).ok());
  EXPECT_FALSE(parse_tokens(wire::make_txt({"v=1", "v=2"}).value()).ok());
}

}  // namespace
}  // namespace mutua::peer
