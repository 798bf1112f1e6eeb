#include "wire/name.h"

#include <gtest/gtest.h>

#include <set>

namespace mutua::wire {
namespace {

Name name(std::string_view text) { return Name::parse(text).value(); }

TEST(Name, PresentationRoundTrip) {
  for (const std::string_view text : {".", "a.", "www.Fed.Example.", "w\\000z.x.",
                                      "dot\\.in.label.", "sp\\032ace.x.", "q\\\"uote.x."}) {
    EXPECT_EQ(name(text).to_text(), text);
  }
  EXPECT_EQ(name("no.final.dot"), name("no.final.dot."));
}

TEST(Name, MalformedTextIsRefused) {
  for (const std::string_view text : {"", "..", ".a", "a..b", "a\\", "a\\25", "a\\256"}) {
    EXPECT_FALSE(Name::parse(text).ok()) << text;
  }
  EXPECT_FALSE(Name::parse(std::string(64, 'a')).ok());
  EXPECT_TRUE(Name::parse(std::string(63, 'a')).ok());
}

TEST(Name, TheLongestNameHas255Octets) {
  const std::string label(63, 'x');
  const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'x') + ".";
  EXPECT_EQ(name(longest).wire().size(), 255U);
  EXPECT_FALSE(Name::parse("y" + longest).ok());
  EXPECT_FALSE(name(longest).child("z").ok());
}

TEST(Name, LetterCaseIsKeptButNotCompared) {
  EXPECT_EQ(name("WWW.Example."), name("www.eXAMPLE."));
  EXPECT_EQ(name("WWW.Example.").hash(), name("www.eXAMPLE.").hash());
  EXPECT_EQ(name("WWW.Example.").to_text(), "WWW.Example.");
  EXPECT_EQ(name("WWW.Example.").lowered().to_text(), "www.example.");
}

// RFC 4034 section 6.1.
TEST(Name, CanonicalOrder) {
  const std::vector<Name> expected = {
      name("example."),         name("a.example."),      name("yljkjljk.a.example."),
      name("Z.a.example."),     name("zABC.a.EXAMPLE."), name("z.example."),
      name("\\001.z.example."), name("*.z.example."),    name("\\200.z.example.")};
  const std::set<Name> sorted(expected.rbegin(), expected.rend());
  EXPECT_TRUE(std::equal(sorted.begin(), sorted.end(), expected.begin(), expected.end()));
}

TEST(Name, AncestorsAndSuffixes) {
  const Name full = name("a.b.c.");
  EXPECT_EQ(full.label_count(), 3U);
  EXPECT_EQ(full.parent(), name("b.c."));
  EXPECT_EQ(full.ancestor(1), name("c."));
  EXPECT_EQ(full.ancestor(0), Name());
  EXPECT_TRUE(full.is_at_or_below(name("B.C.")));
  EXPECT_TRUE(full.is_at_or_below(full));
  EXPECT_TRUE(full.is_at_or_below(Name()));
  EXPECT_FALSE(name("xb.c.").is_at_or_below(name("b.c.")));
  EXPECT_FALSE(name("c.").is_at_or_below(full));
  EXPECT_EQ(name("x.").under(full).value(), name("x.a.b.c."));
}

// "\1b\1c\0" inside a label is not a suffix: a label that ends like the ancestor's wire format.
TEST(Name, ASuffixBeginsAtALabel) {
  const Name odd = Name::from_wire(to_bytes(std::string_view("\x03"
                                                             "a\x01"
                                                             "c\0",
                                                             5)))
                       .value();
  EXPECT_FALSE(odd.is_at_or_below(name("c.")));
}

TEST(ReadName, FollowsPointersBackwardsOnly) {
  const Bytes message =
      to_bytes(std::string_view("\x01"
                                "b\x01"
                                "c\0"
                                "\x01"
                                "a\xc0\x00",
                                9));
  std::size_t offset = 5;
  EXPECT_EQ(read_name(message, offset).value(), name("a.b.c."));
  EXPECT_EQ(offset, 9U);
}

TEST(ReadName, HostileNamesAreRefused) {
  const std::vector<std::string> hostile = {
      std::string("\xc0\x00", 2),          // to itself
      std::string("\xc0\x02\xc0\x00", 4),  // forward, then back
      std::string("\x01"
                  "a",
                  2),  // no end
      std::string("\x05"
                  "ab",
                  3),          // label past the end
      std::string("\xc0", 1),  // half a pointer
      std::string("\x41"
                  "a\0",
                  3),  // label type 01
      std::string("\x81"
                  "a\0",
                  3),  // label type 10
      "",
  };
  for (const std::string& octets : hostile) {
    std::size_t offset = 0;
    EXPECT_FALSE(read_name(as_bytes(octets), offset).ok());
  }
}

TEST(ReadName, ANameOf256OctetsThroughPointersIsRefused) {
  Bytes message;
  for (int i = 0; i < 4; ++i) {
    append_u8(message, 63);
    append(message, Bytes(63, 'a'));
  }
  append_u8(message, 0);
  std::size_t offset = 0;
  EXPECT_FALSE(read_name(message, offset).ok());
  offset = 64;  // three labels: 193 octets
  EXPECT_TRUE(read_name(message, offset).ok());
}

}  // namespace
}  // namespace mutua::wire
