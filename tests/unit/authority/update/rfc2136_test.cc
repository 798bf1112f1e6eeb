// RFC 2136 sections 3.2 and 3.4 as one table: a zone, an update, what comes of it.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/writer_fixture.h"

namespace mutua::test {
namespace {

using wire::Rcode;
using wire::RRClass;
using wire::RRType;

wire::Record test_of(std::string_view owner, RRType type, RRClass rclass) {
  return {name(owner), type, rclass, 0, {}};
}
wire::Record value_of(const std::string& text) {
  auto record = wire::record_from_text(text, 0, wire::Name()).value();
  record.ttl = 0;
  return record;
}

class Rfc2136 : public WriterTest {
 protected:
  void SetUp() override {
    WriterTest::SetUp();
    UpdateBuilder update(kZone);
    for (const char* record :
         {"a.fed.test. 60 IN A 192.0.2.1", "a.fed.test. 60 IN A 192.0.2.2",
          "a.fed.test. 60 IN TXT x", "c.fed.test. 60 IN CNAME a.fed.test.",
          "*.wild.fed.test. 60 IN A 192.0.2.3", "x.ent.fed.test. 60 IN A 192.0.2.4",
          "m.fed.test. 60 IN MX 10 MaIl.fed.test."}) {
      update.add(record);
    }
    ASSERT_EQ(operate(update).rcode, Rcode::noerror);
  }
  // The outcome; `changed` tells whether the serial rose, which it may by one at most.
  Rcode apply(UpdateBuilder& update, bool& changed) {
    const auto before = zone()->serial();
    const Rcode rcode = operate(update).rcode;
    const auto after = zone()->serial();
    changed = after != before;
    EXPECT_TRUE(after == before || after == before + 1) << before << " " << after;
    return rcode;
  }
  void expect(UpdateBuilder update, Rcode rcode, bool changes, const std::string& what) {
    bool changed = false;
    EXPECT_EQ(apply(update, changed), rcode) << what;
    EXPECT_EQ(changed, changes) << what;
  }
};

TEST_F(Rfc2136, PrerequisitesDecideAsTheRfcSays) {
  struct Case {
    std::string what;
    std::vector<wire::Record> prerequisites;
    Rcode rcode;
  };
  const auto any = RRClass::any, none = RRClass::none;
  const std::vector<Case> cases = {
      {"name in use", {test_of("a.fed.test.", RRType::any, any)}, Rcode::noerror},
      {"name not in use", {test_of("no.fed.test.", RRType::any, any)}, Rcode::nxdomain},
      {"an empty non-terminal is not in use",
       {test_of("ent.fed.test.", RRType::any, any)},
       Rcode::nxdomain},
      {"a wildcard makes no name",
       {test_of("q.wild.fed.test.", RRType::any, any)},
       Rcode::nxdomain},
      {"absent name", {test_of("no.fed.test.", RRType::any, none)}, Rcode::noerror},
      {"absent name that is there", {test_of("a.fed.test.", RRType::any, none)}, Rcode::yxdomain},
      {"RRset there", {test_of("A.FED.TEST.", RRType::a, any)}, Rcode::noerror},
      {"RRset not there", {test_of("a.fed.test.", RRType::mx, any)}, Rcode::nxrrset},
      {"absent RRset", {test_of("a.fed.test.", RRType::mx, none)}, Rcode::noerror},
      {"absent RRset that is there", {test_of("a.fed.test.", RRType::a, none)}, Rcode::yxrrset},
      {"whole value",
       {value_of("a.fed.test. IN A 192.0.2.2"), value_of("a.fed.test. IN A 192.0.2.1")},
       Rcode::noerror},
      {"part of the value", {value_of("a.fed.test. IN A 192.0.2.1")}, Rcode::nxrrset},
      {"more than the value",
       {value_of("a.fed.test. IN A 192.0.2.1"), value_of("a.fed.test. IN A 192.0.2.2"),
        value_of("a.fed.test. IN A 192.0.2.9")},
       Rcode::nxrrset},
      {"value in other letters", {value_of("m.fed.test. IN MX 10 mail.FED.test.")}, Rcode::noerror},
      {"outside the zone", {test_of("example.org.", RRType::any, any)}, Rcode::notzone},
      {"second fails",
       {test_of("a.fed.test.", RRType::any, any), test_of("a.fed.test.", RRType::any, none)},
       Rcode::yxdomain},
      {"with a TTL", {{name("a.fed.test."), RRType::any, any, 1, {}}}, Rcode::formerr},
      {"with data", {{name("a.fed.test."), RRType::a, any, 0, {1, 2, 3, 4}}}, Rcode::formerr},
      {"class CH", {{name("a.fed.test."), RRType::a, RRClass::ch, 0, {}}}, Rcode::formerr},
      {"meta type", {test_of("a.fed.test.", RRType::axfr, any)}, Rcode::formerr},
  };
  int number = 0;
  for (const Case& c : cases) {
    UpdateBuilder update(kZone);
    for (const wire::Record& record : c.prerequisites) update.prerequisite(record);
    update.add("p" + std::to_string(number++) + ".fed.test. 60 IN A 192.0.2.9");
    expect(update, c.rcode, c.rcode == Rcode::noerror, c.what);
  }
}

TEST_F(Rfc2136, AdditionsAndDeletionsDoWhatTheRfcSays) {
  const std::string soa = "fed.test. 300 IN SOA ns1.fed.test. hostmaster.fed.test. ";
  const auto u = [] { return UpdateBuilder(kZone); };
  expect(u().add("a.fed.test. 60 IN A 192.0.2.1"), Rcode::noerror, false, "a record that is there");
  expect(u().add("a.fed.test. 90 IN A 192.0.2.1"), Rcode::noerror, true, "its TTL alone");
  EXPECT_EQ(zone()->find(name("a.fed.test."), RRType::a)->ttl, 90u);
  expect(u().remove("a.fed.test. IN A 192.0.2.77"), Rcode::noerror, false, "an absent record");
  expect(u().remove_name("no.fed.test."), Rcode::noerror, false, "an absent name");
  expect(u().remove_rrset("a.fed.test.", RRType::mx), Rcode::noerror, false, "an absent RRset");
  expect(u().add("n.fed.test. 60 IN A 192.0.2.1").remove_name("n.fed.test."), Rcode::noerror, false,
         "there and back");
  expect(u().remove("m.fed.test. IN MX 10 mail.fed.test."), Rcode::noerror, true,
         "a record in other letters");

  expect(u().add("c.fed.test. 60 IN A 192.0.2.1"), Rcode::noerror, false, "data beside a CNAME");
  expect(u().add("a.fed.test. 60 IN CNAME c.fed.test."), Rcode::noerror, false,
         "a CNAME beside data");
  expect(u().add("c.fed.test. 60 IN CNAME b.fed.test."), Rcode::noerror, true,
         "a second CNAME replaces");
  EXPECT_EQ(rdatas("c.fed.test.", RRType::cname), std::vector<std::string>{"b.fed.test."});
  expect(u().remove_name("c.fed.test.").add("c.fed.test. 60 IN A 192.0.2.1"), Rcode::noerror, true,
         "order counts");

  expect(u().remove_rrset("fed.test.", RRType::soa), Rcode::noerror, false, "the SOA");
  expect(u().remove_rrset("fed.test.", RRType::ns), Rcode::noerror, false, "the apex NS RRset");
  expect(u().remove_name("fed.test."), Rcode::noerror, false, "the apex");
  expect(u().remove("fed.test. IN NS ns1.fed.test.").remove("fed.test. IN NS ns2.fed.test."),
         Rcode::noerror, true, "each apex NS");
  EXPECT_EQ(rdatas("fed.test.", RRType::ns).size(), 1u);
  expect(u().add(soa + "1 1 1 1 1"), Rcode::noerror, false, "an older SOA");
  expect(u().add("a.fed.test. 300 IN SOA ns1.fed.test. x.fed.test. 99 1 1 1 1"), Rcode::noerror,
         false, "a SOA elsewhere");
}

TEST_F(Rfc2136, ALaterSoaSetsTheSerial) {
  UpdateBuilder update(kZone);
  update.add("fed.test. 300 IN SOA ns1.fed.test. hostmaster.fed.test. 5000 3600 600 604800 60");
  update.add("n.fed.test. 60 IN A 192.0.2.1");
  EXPECT_EQ(operate(update).rcode, Rcode::noerror);
  EXPECT_EQ(zone()->serial(), 5000u);
}

TEST_F(Rfc2136, TheSerialWrapsAround) {
  for (const std::uint32_t serial : {0x7fffffffu, 0xfffffffeu}) {
    UpdateBuilder update(kZone);
    update.add("fed.test. 300 IN SOA ns1.fed.test. h.fed.test. " + std::to_string(serial) +
               " 1 1 1 1");
    ASSERT_EQ(operate(update).rcode, Rcode::noerror);
    ASSERT_EQ(zone()->serial(), serial);
  }
  for (const std::uint32_t serial : {0xffffffffu, 0u, 1u}) {
    UpdateBuilder update(kZone);
    update.add("w" + std::to_string(serial) + ".fed.test. 60 IN A 192.0.2.1");
    ASSERT_EQ(operate(update).rcode, Rcode::noerror);
    EXPECT_EQ(zone()->serial(), serial);
  }
  restart();
  EXPECT_EQ(zone()->serial(), 1u);
}

TEST_F(Rfc2136, OneBadRecordSpoilsTheWholeUpdate) {
  const auto with = [&](wire::Record record) {
    UpdateBuilder update(kZone);
    update.add("n.fed.test. 60 IN A 192.0.2.1").raw(std::move(record));
    return update;
  };
  const auto owner = name("n.fed.test.");
  expect(with({name("x.example.org."), RRType::a, RRClass::in, 60, {1, 2, 3, 4}}), Rcode::notzone,
         false, "outside");
  expect(with({owner, RRType::ixfr, RRClass::in, 60, {}}), Rcode::formerr, false,
         "meta type added");
  expect(with({owner, RRType::any, RRClass::in, 60, {}}), Rcode::formerr, false, "ANY added");
  expect(with({owner, RRType::a, RRClass::any, 1, {}}), Rcode::formerr, false, "deletion with TTL");
  expect(with({owner, RRType::a, RRClass::any, 0, {1, 2, 3, 4}}), Rcode::formerr, false,
         "RRset deletion with data");
  expect(with({owner, RRType::any, RRClass::none, 0, {}}), Rcode::formerr, false,
         "record deletion of ANY");
  expect(with({owner, RRType::a, RRClass::none, 1, {1, 2, 3, 4}}), Rcode::formerr, false,
         "record deletion with TTL");
  expect(with({owner, RRType::a, RRClass::ch, 60, {1, 2, 3, 4}}), Rcode::formerr, false,
         "another class");
}

TEST_F(Rfc2136, TheZoneSectionMustNameTheZone) {
  const auto send_zone = [&](std::vector<wire::Question> questions) {
    UpdateBuilder update(kZone);
    update.add("n.fed.test. 60 IN A 192.0.2.1");
    update.message().question = std::move(questions);
    return operate(update).rcode;
  };
  const wire::Question good{name("fed.test."), RRType::soa, RRClass::in};
  EXPECT_EQ(send_zone({{name("fed.test."), RRType::a, RRClass::in}}), Rcode::formerr);
  EXPECT_EQ(send_zone({good, good}), Rcode::formerr);
  EXPECT_EQ(send_zone({{name("a.fed.test."), RRType::soa, RRClass::in}}), Rcode::notauth);
  EXPECT_EQ(send_zone({{name("other.test."), RRType::soa, RRClass::in}}), Rcode::notauth);
  EXPECT_EQ(send_zone({{name("fed.test."), RRType::soa, RRClass::ch}}), Rcode::notauth);
  EXPECT_EQ(send_zone({good}), Rcode::noerror);
}

TEST_F(Rfc2136, AnRRsetThatFitsNoAnswerIsRefused) {
  const std::string filler(240, 'x');
  Rcode last = Rcode::noerror;
  unsigned added = 0;
  for (int part = 0; part < 4 && last == Rcode::noerror; ++part) {
    UpdateBuilder update(kZone);
    for (int i = 0; i < 100; ++i)
      update.add("big.fed.test. 60 IN TXT " + std::to_string(part * 100 + i) + filler);
    last = operate(update).rcode;
    if (last == Rcode::noerror) added += 100;
  }
  EXPECT_EQ(last, Rcode::refused);
  EXPECT_EQ(rdatas("big.fed.test.", RRType::txt).size(), added);
  EXPECT_EQ(added, 200u);
}

TEST_F(Rfc2136, AnOperatorWritesNothingThatDnssecOwns) {
  for (const char* record :
       {"fed.test. 60 IN DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
        "a.fed.test. 60 IN NSEC b.fed.test. A"}) {
    UpdateBuilder update(kZone);
    update.add(record);
    expect(update, Rcode::refused, false, record);
  }
}

}  // namespace
}  // namespace mutua::test
