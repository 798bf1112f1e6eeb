#include "wire/message.h"

#include <gtest/gtest.h>

#include "wire/presentation.h"
#include "wire/rdata.h"

namespace mutua::wire {
namespace {

Name name(std::string_view text) { return Name::parse(text).value(); }
Record record(std::string_view text) {
  return record_from_text(text, 300, name("example.")).value();
}

Message sample() {
  Message message;
  message.header.id = 0x1234;
  message.header.response = message.header.authoritative = true;
  message.question.push_back({name("_80._tcp.blog.example."), RRType::srv, RRClass::in});
  message.answer.push_back(record("_80._tcp.blog.example. 60 IN SRV 0 5 8080 p1.example."));
  message.authority.push_back(
      record("example. 60 IN SOA ns1.example. hostmaster.example. 1 2 3 4 5"));
  message.additional.push_back(record("p1.example. 60 IN A 192.0.2.1"));
  message.edns = Edns{.udp_size = 1232, .version = 0, .dnssec_ok = true, .options = {{10, {1, 2}}}};
  return message;
}

TEST(Message, WireRoundTrip) {
  const Message message = sample();
  const Message back = parse(message.to_wire()).value();
  EXPECT_EQ(back.header.id, 0x1234);
  EXPECT_TRUE(back.header.authoritative);
  EXPECT_EQ(back.question, message.question);
  EXPECT_EQ(back.answer, message.answer);
  EXPECT_EQ(back.authority, message.authority);
  EXPECT_EQ(back.additional, message.additional);
  ASSERT_TRUE(back.edns);
  EXPECT_TRUE(back.edns->dnssec_ok);
  ASSERT_EQ(back.edns->options.size(), 1U);
  EXPECT_EQ(back.edns->options[0].data, (Bytes{1, 2}));
}

TEST(Message, EveryTruncationIsRefused) {
  const Bytes wire = sample().to_wire();
  for (std::size_t length = 0; length < wire.size(); ++length) {
    EXPECT_FALSE(parse(BytesView(wire).first(length)).ok()) << length;
  }
}

TEST(Message, TrailingOctetsAreRefused) {
  Bytes wire = sample().to_wire();
  wire.push_back(0);
  EXPECT_FALSE(parse(wire).ok());
}

TEST(Message, CountsThatLieAreRefused) {
  for (const std::size_t counter : {4U, 6U, 8U, 10U}) {
    Bytes wire = sample().to_wire();
    store_u16(wire.data() + counter, 0xffff);
    EXPECT_FALSE(parse(wire).ok()) << counter;
  }
}

TEST(Message, TwoOptRecordsAreRefused) {
  Message message = sample();
  message.additional.clear();
  Bytes wire = message.to_wire();
  const Bytes opt(wire.end() - 17, wire.end());
  append(wire, opt);
  store_u16(wire.data() + 10, 2);
  EXPECT_EQ(parse(wire).error().message(), "two OPT records");
}

TEST(Message, RcodeAboveFifteenTravelsInTheOptRecord) {
  Message message = sample();
  message.header.rcode = Rcode::badvers;
  EXPECT_EQ(parse(message.to_wire()).value().header.rcode, Rcode::badvers);
}

TEST(Message, WhatDoesNotFitIsLeftOutWholeAndMarked) {
  Message message = sample();
  for (int i = 0; i < 40; ++i) {
    message.answer.push_back(record("_80._tcp.blog.example. 60 IN SRV 0 5 " + std::to_string(i) +
                                    " some-long-peer-name.example."));
  }
  const Bytes wire = message.to_wire(kPlainUdpSize);
  EXPECT_LE(wire.size(), kPlainUdpSize);
  const Message cut = parse(wire).value();
  EXPECT_TRUE(cut.header.truncated);
  EXPECT_GT(cut.answer.size(), 1U);
  EXPECT_TRUE(cut.authority.empty());
  EXPECT_TRUE(cut.edns.has_value());
}

TEST(Message, LosingOnlyAdditionalRecordsIsNoTruncation) {
  Message message = sample();
  const std::size_t without_glue = [&] {
    Message bare = message;
    bare.additional.clear();
    return bare.to_wire().size();
  }();
  const Message cut = parse(message.to_wire(without_glue)).value();
  EXPECT_FALSE(cut.header.truncated);
  EXPECT_EQ(cut.authority.size(), 1U);
  EXPECT_TRUE(cut.additional.empty());
}

TEST(Message, UpdateDeletionsHaveNoRdata) {
  Message message;
  message.header.opcode = Opcode::update;
  message.question.push_back({name("example."), RRType::soa, RRClass::in});
  message.authority.push_back({name("a.example."), RRType::a, RRClass::any, 0, {}});
  message.authority.push_back({name("b.example."), RRType::any, RRClass::any, 0, {}});
  const Message back = parse(message.to_wire()).value();
  EXPECT_EQ(back.authority, message.authority);
}

TEST(Rdata, NamesInsideAreExpandedAndChecked) {
  // A CNAME whose target is a pointer to the question's name.
  Bytes wire(12, 0);
  store_u16(wire.data() + 4, 1);
  store_u16(wire.data() + 6, 1);
  append(wire, name("a.example.").wire());
  append_u16(wire, 5);
  append_u16(wire, 1);
  append(wire, BytesView(to_bytes(std::string_view("\xc0\x0c", 2))));
  append_u16(wire, 5);
  append_u16(wire, 1);
  append_u32(wire, 60);
  append_u16(wire, 2);
  append(wire, BytesView(to_bytes(std::string_view("\xc0\x0e", 2))));
  const Message message = parse(wire).value();
  EXPECT_EQ(parse_name_rdata(message.answer.at(0).rdata).value(), name("example."));
}

TEST(Rdata, WrongShapesAreRefused) {
  EXPECT_FALSE(check_rdata(RRType::a, Bytes(3)).ok());
  EXPECT_FALSE(check_rdata(RRType::aaaa, Bytes(17)).ok());
  EXPECT_FALSE(check_rdata(RRType::txt, Bytes{}).ok());
  EXPECT_FALSE(check_rdata(RRType::txt, Bytes{5, 'a'}).ok());
  EXPECT_FALSE(check_rdata(RRType::srv, Bytes{0, 0, 0, 0, 0, 80}).ok());
  EXPECT_FALSE(check_rdata(RRType::soa, Bytes{0, 0, 1, 2, 3}).ok());
  EXPECT_TRUE(check_rdata(static_cast<RRType>(65280), Bytes{}).ok());
}

TEST(Presentation, RecordsRoundTripThroughText) {
  for (const std::string text :
       {"a.example. 300 IN A 192.0.2.1", "_80._tcp.b.example. 60 IN SRV 1 2 8080 p.example.",
        "t.example. 5 IN TXT \"v=1\" \"ports=80/tcp\"", "u.example. 5 IN TYPE65280 \\# 4 0a000001",
        "m.example. 5 IN MX 10 a.example."}) {
    EXPECT_EQ(to_text(record(text)), text);
  }
  EXPECT_FALSE(record_from_text("a.example. 300 IN A 192.0.2", 300, Name()).ok());
}

}  // namespace
}  // namespace mutua::wire
