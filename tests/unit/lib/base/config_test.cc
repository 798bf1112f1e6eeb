#include "base/config.h"

#include <gtest/gtest.h>

namespace mutua {
namespace {

Config parsed(std::string_view text) { return std::move(Config::parse(text, "a.conf")).value(); }

TEST(Config, AnUnknownKeyIsAnErrorWithItsLine) {
  Config config = parsed("# comment\n\nzone = fed.example\ncolour = blue\n");
  EXPECT_EQ(config.required_text("zone").value(), "fed.example");
  const auto finished = config.finish();
  ASSERT_FALSE(finished.ok());
  EXPECT_EQ(finished.error().message(), "a.conf:4: unknown key 'colour'");
}

TEST(Config, ALineWithoutEqualsNamesTheLine) {
  const auto config = Config::parse("zone = x\nnonsense\n", "a.conf");
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.error().message(), "a.conf:2: expected 'key = value'");
}

TEST(Config, AKeyGivenTwiceIsAnErrorUnlessAListIsAsked) {
  Config config = parsed("listen = a\nlisten = b\n");
  EXPECT_EQ(config.text("listen", "").error().message(), "a.conf:2: listen is given twice");
  EXPECT_EQ(config.list("listen"), (std::vector<std::string>{"a", "b"}));
}

TEST(Config, NumbersAreBounded) {
  Config config = parsed("workers = 99\nsize = 12x\n");
  EXPECT_EQ(config.number("workers", 1, 1, 64).error().message(),
            "a.conf:1: workers: must be between 1 and 64, not 99");
  EXPECT_EQ(config.number("size", 1, 1, 64).error().message(), "a.conf:2: size: not a number: 12x");
  EXPECT_EQ(config.number("absent", 7, 1, 64).value(), 7U);
}

TEST(Config, DurationsCarryTheirUnit) {
  Config config = parsed("lease = 90s\nslow = 2h\nbad = 5\n");
  EXPECT_EQ(config.duration("lease", {}).value(), std::chrono::seconds(90));
  EXPECT_EQ(config.duration("slow", {}).value(), std::chrono::hours(2));
  EXPECT_FALSE(config.duration("bad", {}).ok());
}

}  // namespace
}  // namespace mutua
