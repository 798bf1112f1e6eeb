#include "authority/zone/master_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "wire/presentation.h"

namespace mutua::authority {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

const wire::Name& origin() {
  static const wire::Name name = wire::Name::parse("fed.test").value();
  return name;
}

std::vector<std::string> records(std::string_view text) {
  const auto rrsets = parse_master_file(text, "t.zone", origin());
  if (!rrsets) return {rrsets.error().message()};
  std::vector<std::string> lines;
  for (const OwnedRRset& owned : *rrsets)
    for (const Bytes& rdata : owned.rrset.rdatas)
      lines.push_back(wire::to_text(
          wire::Record{owned.owner, owned.rrset.type, wire::RRClass::in, owned.rrset.ttl, rdata}));
  std::sort(lines.begin(), lines.end());
  return lines;
}

std::string error(std::string_view text) {
  const auto rrsets = parse_master_file(text, "t.zone", origin());
  return rrsets ? "no error" : rrsets.error().message();
}

TEST(MasterFile, OwnerTtlAndClassCarryOver) {
  EXPECT_THAT(
      records("$TTL 1h\n"
              "a 60 IN A 192.0.2.1\n"
              "  IN 60 A 192.0.2.2 ; comment (\n"
              "\n"
              "; nothing\n"
              "\tTXT \"a;b\" c\\ d\r\n"
              "@ MX 10 a\n"
              "b.example. NS @\n"),
      ElementsAre("a.fed.test. 3600 IN TXT \"a;b\" \"c d\"", "a.fed.test. 60 IN A 192.0.2.1",
                  "a.fed.test. 60 IN A 192.0.2.2", "b.example. 3600 IN NS fed.test.",
                  "fed.test. 3600 IN MX 10 a.fed.test."));
}

TEST(MasterFile, ParenthesesSpanLines) {
  EXPECT_THAT(records("@ SOA ns h ( 1 ; serial\n 3600\n\n 600 604800\n 60 )\n  NS ns\n"),
              ElementsAre("fed.test. 60 IN NS ns.fed.test.",
                          "fed.test. 60 IN SOA ns.fed.test. h.fed.test. 1 3600 600 604800 60"));
}

TEST(MasterFile, OriginMovesAndNests) {
  EXPECT_THAT(records("$TTL 5\n$ORIGIN sub\na A 192.0.2.1\n$ORIGIN other.example.\na CNAME b\n"),
              ElementsAre("a.other.example. 5 IN CNAME b.other.example.",
                          "a.sub.fed.test. 5 IN A 192.0.2.1"));
}

TEST(MasterFile, EscapesAndUnknownTypes) {
  EXPECT_THAT(
      records(
          "$TTL 5\nw\\000z A 192.0.2.4\ndot\\.in\\. A 192.0.2.5\nunk TYPE65280 \\# 4 0a000001\n"),
      testing::SizeIs(3));
  EXPECT_THAT(records("$TTL 5\ndot\\.in A 192.0.2.5\n"),
              ElementsAre("dot\\.in.fed.test. 5 IN A 192.0.2.5"));
}

TEST(MasterFile, KeywordsMayBeInAnyCase) {
  EXPECT_THAT(records("$ttl 5\nin in a 192.0.2.1\n"), ElementsAre("in.fed.test. 5 IN A 192.0.2.1"));
}

TEST(MasterFile, AnRRsetHasItsSmallestTtl) {
  EXPECT_THAT(records("a 60 A 192.0.2.1\na 30 A 192.0.2.2\n"),
              ElementsAre("a.fed.test. 30 IN A 192.0.2.1", "a.fed.test. 30 IN A 192.0.2.2"));
}

TEST(MasterFile, ErrorsNameTheLine) {
  const std::pair<const char*, const char*> cases[] = {
      {"$TTL 5\n\na A 192.0.2.1\n$INCLUDE other.zone\n", "t.zone:4: $INCLUDE is not allowed"},
      {"$TTL 5\na FOO x\n", "t.zone:2: unknown type: FOO"},
      {"a A 192.0.2.1\n", "t.zone:1: no TTL"},
      {" A 192.0.2.1\n", "t.zone:1: the first record has no owner"},
      {"$TTL 5\na A ( 192.0.2.1\n\n", "'(' is never closed"},
      {"$TTL 5\na A 192.0.2.1 )\n", "t.zone:2: ')' without '('"},
      {"$TTL 5\na TXT \"abc\n", "t.zone:2: '\"' is never closed"},
      {"$TTL 5\na CH TXT abc\n", "t.zone:2: class CH"},
      {"$TTL x\n", "t.zone:1: not a TTL: x"},
      {"$TTL 3000000000\n", "t.zone:1: not a TTL"},
      {"$GENERATE 1-2 a A 1\n", "t.zone:1: $GENERATE takes one value"},
      {"$UNKNOWN 1\n", "t.zone:1: unknown directive"},
      {"$TTL 5\na 60\n", "t.zone:2: a record without a type"},
      {"$TTL 5\nb A 192.0.2.1\na A 192.0.2.256\n", "t.zone:3: "},
      {"$TTL 5\na..b A 192.0.2.1\n", "t.zone:2: "},
      {"$TTL 5\na ANY x\n", "t.zone:2: "},
  };
  for (const auto& [text, expected] : cases) EXPECT_THAT(error(text), HasSubstr(expected)) << text;
}

TEST(MasterFile, AnEndlessEntryIsRefused) {
  std::string text = "$TTL 5\na TXT (";
  for (int i = 0; i < 100000; ++i) text += " abc\n";
  EXPECT_THAT(error(text), HasSubstr("entry too long"));
}

}  // namespace
}  // namespace mutua::authority
