#include "resolver/local_api/stub_answers.h"

#include <gtest/gtest.h>

#include "wire/rdata.h"

namespace mutua::resolver {
namespace {

using wire::Message;
using wire::Name;
using wire::Rcode;
using wire::RRType;

Message query(const char* name, RRType type) {
  Message message;
  message.header.id = 4711;
  message.header.recursion_desired = true;
  message.question.push_back({Name::parse(name).value(), type, wire::RRClass::in});
  return message;
}

StubRequest::Kind kind(const char* name, RRType type) {
  return read_stub_request(query(name, type).to_wire()).kind;
}

const LookupAnswer kHeld{LookupAnswer::Status::found, Ipv4{0x7fc80102}, std::nullopt,
                         std::chrono::seconds(60)};

TEST(StubRequest, IsSortedByWhoAnswersIt) {
  using Kind = StubRequest::Kind;
  for (const RRType type : {RRType::a, RRType::aaaa, RRType::any, RRType::https, RRType::svcb}) {
    EXPECT_EQ(kind("a.example", type), Kind::address);
  }
  for (const RRType type : {RRType::txt, RRType::srv, RRType::mx, RRType::key}) {
    EXPECT_EQ(kind("a.example", type), Kind::pass_on);
  }
  EXPECT_EQ(kind("2.1.200.127.in-addr.arpa", RRType::ptr), Kind::reverse);
  EXPECT_EQ(kind("www.example", RRType::ptr), Kind::pass_on);
}

TEST(StubRequest, WhatIsNoQueryIsRefusedOrDropped) {
  Message message = query("a.example", RRType::a);
  message.header.response = true;
  EXPECT_EQ(read_stub_request(message.to_wire()).kind, StubRequest::Kind::drop);
  EXPECT_EQ(read_stub_request({}).kind, StubRequest::Kind::drop);
  message.header.response = false;
  message.header.opcode = wire::Opcode::update;
  EXPECT_EQ(read_stub_request(message.to_wire()).rcode, Rcode::notimp);
  message.header.opcode = wire::Opcode::query;
  message.question.clear();
  EXPECT_EQ(read_stub_request(message.to_wire()).rcode, Rcode::formerr);
  Bytes cut = query("a.example", RRType::a).to_wire();
  cut.pop_back();
  const StubRequest request = read_stub_request(cut);
  EXPECT_EQ(request.rcode, Rcode::formerr);
  const auto answer = wire::parse(answer_error(request.message, request.rcode)).value();
  EXPECT_EQ(answer.header.id, 4711);
}

TEST(StubRequest, ANewerEdnsVersionIsNotUnderstood) {
  Message message = query("a.example", RRType::a);
  message.edns.emplace().version = 1;
  const StubRequest request = read_stub_request(message.to_wire());
  EXPECT_EQ(request.rcode, Rcode::badvers);
  EXPECT_EQ(wire::parse(answer_error(request.message, request.rcode))->header.rcode,
            Rcode::badvers);
}

TEST(StubAnswer, AHeldNameHasTheSyntheticAddressAndNothingElse) {
  const auto a = wire::parse(answer_held(query("Blog.fed.example", RRType::a), kHeld)).value();
  EXPECT_EQ(a.header.id, 4711);
  EXPECT_TRUE(a.header.recursion_available);
  ASSERT_EQ(a.answer.size(), 1u);
  EXPECT_EQ(a.answer[0].rdata, (Bytes{127, 200, 1, 2}));
  EXPECT_EQ(a.answer[0].ttl, 60u);
  EXPECT_EQ(a.answer[0].owner.to_text(), "Blog.fed.example.") << "the letter case of the question";
  for (const RRType type : {RRType::aaaa, RRType::https, RRType::svcb}) {
    const auto none = wire::parse(answer_held(query("blog.fed.example", type), kHeld)).value();
    EXPECT_TRUE(none.answer.empty());
    EXPECT_EQ(none.header.rcode, Rcode::noerror);
  }
}

TEST(StubAnswer, EdnsIsAnsweredWithEdns) {
  Message message = query("blog.fed.example", RRType::a);
  EXPECT_FALSE(wire::parse(answer_held(message, kHeld))->edns.has_value());
  message.edns.emplace();
  EXPECT_TRUE(wire::parse(answer_held(message, kHeld))->edns.has_value());
}

TEST(StubAnswer, ReverseNamesAreReadStrictly) {
  const auto address = [](const char* text) {
    return address_of_reverse_name(Name::parse(text).value());
  };
  EXPECT_EQ(address("2.1.200.127.IN-ADDR.arpa"), Ipv4{0x7fc80102});
  for (const char* wrong :
       {"1.200.127.in-addr.arpa", "2.1.200.127.ip6.arpa", "256.1.200.127.in-addr.arpa",
        "a.1.200.127.in-addr.arpa", "0.2.1.200.127.in-addr.arpa", "."}) {
    EXPECT_FALSE(address(wrong).has_value()) << wrong;
  }
}

TEST(StubAnswer, WhatIsTooLongForADatagramIsCutWithTc) {
  Message message = query("real.example", RRType::txt);
  Message response = message.response(Rcode::noerror);
  for (int i = 0; i < 20; ++i) {
    response.answer.push_back(
        {message.question[0].name, RRType::txt, wire::RRClass::in, 60,
         wire::make_txt({std::string(60, static_cast<char>('a' + i))}).value()});
  }
  const Bytes octets = response.to_wire();
  const auto cut = wire::parse(truncated(message, octets)).value();
  EXPECT_TRUE(cut.header.truncated);
  EXPECT_TRUE(cut.answer.empty());
  EXPECT_EQ(cut.question, message.question);
  message.edns.emplace().udp_size = 4096;
  EXPECT_EQ(truncated(message, octets), octets) << "octet for octet where it fits";
  message.edns->udp_size = 10;
  EXPECT_EQ(udp_limit(message), 512u);
}

}  // namespace
}  // namespace mutua::resolver
