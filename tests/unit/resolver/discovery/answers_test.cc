#include "resolver/discovery/answers.h"

#include <gtest/gtest.h>

#include "wire/presentation.h"
#include "wire/rdata.h"

namespace mutua::resolver {
namespace {

using wire::Message;
using wire::Name;
using wire::Rcode;
using wire::RRType;

Name name(const char* text) { return Name::parse(text).value(); }

Message response(const char* owner, RRType type, std::initializer_list<const char*> answers,
                 Rcode rcode = Rcode::noerror) {
  Message message;
  message.header.response = true;
  message.header.rcode = rcode;
  message.question.push_back({name(owner), type, wire::RRClass::in});
  for (const char* text : answers) {
    message.answer.push_back(wire::record_from_text(text, 60, Name()).value());
  }
  return message;
}

Timed<Description> described(std::initializer_list<const char*> answers,
                             Rcode rcode = Rcode::noerror) {
  return read_description(response("blog.fed.example.", RRType::txt, answers, rcode),
                          name("blog.fed.example."))
      .value();
}

std::string ports_text(const Description& description) {
  std::string text;
  for (const ServicePort& port : description.ports) text += to_text(port) + " ";
  return text;
}

TEST(Description, TokensMayStandInOneStringOrInSeveral) {
  for (const char* record :
       {"blog.fed.example. 90 IN TXT \"v=1 manifest=sha256:00 ports=80/tcp,53/udp admission=open\"",
        "blog.fed.example. 90 IN TXT \"v=1\" \"manifest=sha256:00\" \"ports=80/tcp,53/udp\""}) {
    const auto found = described({record});
    EXPECT_TRUE(found.value.held);
    EXPECT_EQ(ports_text(found.value), "80/tcp 53/udp ");
    EXPECT_EQ(found.ttl.count(), 90);
  }
}

TEST(Description, OtherTxtRecordsDoNotMakeAService) {
  EXPECT_FALSE(described({"blog.fed.example. 60 IN TXT \"v=spf1 ports=80/tcp\""}).value.held);
  EXPECT_FALSE(described({"blog.fed.example. 60 IN TXT \"v=1 manifest=sha256:00\""}).value.held);
  EXPECT_FALSE(described({"blog.fed.example. 60 IN TXT \"v=1 ports=http\""}).value.held);
  EXPECT_FALSE(described({"other.fed.example. 60 IN TXT \"v=1 ports=80/tcp\""}).value.held);
  EXPECT_TRUE(described({"blog.fed.example. 60 IN TXT \"hello\"",
                         "blog.fed.example. 60 IN TXT \"v=1 ports=80/tcp\""})
                  .value.held);
}

TEST(Description, RepeatedAndNonsensePortsAreLeftOut) {
  EXPECT_EQ(
      ports_text(
          described({"blog.fed.example. 60 IN TXT \"v=1 ports=80/tcp,80/tcp,0/tcp,,x,443/tcp,\""})
              .value),
      "80/tcp 443/tcp ");
}

TEST(Description, CnamesAreFollowedButNotForever) {
  const auto found = described({"blog.fed.example. 60 IN CNAME www.fed.example.",
                                "www.fed.example. 60 IN TXT \"v=1 ports=80/tcp\""});
  EXPECT_TRUE(found.value.held);
  EXPECT_EQ(found.value.canonical, name("www.fed.example."));
  EXPECT_FALSE(described({"blog.fed.example. 60 IN CNAME www.fed.example.",
                          "www.fed.example. 60 IN CNAME blog.fed.example."})
                   .value.held);
}

TEST(Description, NegativeAnswersHaveTheSoasTtlShortened) {
  auto message = response("blog.fed.example.", RRType::txt, {}, Rcode::nxdomain);
  message.authority.push_back(
      wire::record_from_text("fed.example. 900 IN SOA ns. host. 1 3600 600 86400 20", 60, Name())
          .value());
  EXPECT_EQ(read_description(message, name("blog.fed.example."))->ttl.count(), 20);
  message.authority[0] =
      wire::record_from_text("fed.example. 9000 IN SOA ns. h. 1 3600 600 86400 9000", 60, Name())
          .value();
  EXPECT_EQ(read_description(message, name("blog.fed.example."))->ttl.count(), 60);
}

TEST(Description, RefusedRelinquishesAndFailuresAreErrors) {
  EXPECT_FALSE(described({}, Rcode::refused).value.held);
  for (const Rcode rcode : {Rcode::servfail, Rcode::formerr, Rcode::notimp}) {
    EXPECT_FALSE(read_description(response("blog.fed.example.", RRType::txt, {}, rcode),
                                  name("blog.fed.example."))
                     .ok());
  }
}

TEST(Description, AResponseToAnotherQuestionIsNotBelieved) {
  EXPECT_FALSE(
      read_description(response("evil.fed.example.", RRType::txt, {}), name("blog.fed.example."))
          .ok());
  auto query = response("blog.fed.example.", RRType::txt, {});
  query.header.response = false;
  EXPECT_FALSE(read_description(query, name("blog.fed.example.")).ok());
}

TEST(ServedTargets, TakeTheAddressesThatComeAlong) {
  const Name owner = name("_80._tcp.blog.fed.example.");
  auto message = response("_80._tcp.blog.fed.example.", RRType::srv,
                          {"_80._tcp.blog.fed.example. 30 IN SRV 1 2 20001 a.peers.fed.example.",
                           "_80._tcp.blog.fed.example. 30 IN SRV 3 4 20002 b.peers.fed.example.",
                           "_80._tcp.blog.fed.example. 30 IN SRV 0 0 80 .",
                           "_80._tcp.blog.fed.example. 30 IN SRV 0 0 0 c.peers.fed.example."});
  for (const char* text :
       {"a.peers.fed.example. 30 IN A 192.0.2.1", "a.peers.fed.example. 30 IN AAAA 2001:db8::1",
        "stranger.fed.example. 30 IN A 192.0.2.9"}) {
    message.additional.push_back(wire::record_from_text(text, 60, Name()).value());
  }
  const auto served = read_served_targets(message, owner).value();
  EXPECT_EQ(served.ttl.count(), 30);
  ASSERT_EQ(served.value.targets.size(), 2u);
  EXPECT_EQ(served.value.addresses.size(), 1u);
  const auto everybody = [](const SocketAddress&) { return true; };
  const auto candidates = candidates_of(served.value, everybody);
  ASSERT_EQ(candidates.size(), 2u);
  EXPECT_EQ(candidates[0].address.to_text(), "192.0.2.1:20001");
  EXPECT_EQ(candidates[1].address.to_text(), "[2001:db8::1]:20001");
  EXPECT_EQ(candidates[0].priority, 1);
  EXPECT_EQ(candidates[0].weight, 2);
  EXPECT_TRUE(candidates_of(served.value, [](const SocketAddress&) { return false; }).empty());
}

TEST(ServedTargets, AreBoundedHoweverLongTheAnswer) {
  auto message = response("_80._tcp.b.fed.example.", RRType::srv, {});
  const Name owner = name("_80._tcp.b.fed.example.");
  for (int i = 0; i < 500; ++i) {
    const Name host = name(("h" + std::to_string(i) + ".fed.example.").c_str());
    message.answer.push_back(
        {owner, RRType::srv, wire::RRClass::in, 60, wire::make_srv({0, 0, 80, host})});
    message.additional.push_back({host, RRType::a, wire::RRClass::in, 60, {192, 0, 2, 1}});
  }
  const auto served = read_served_targets(message, owner).value();
  EXPECT_EQ(served.value.targets.size(), 64u);
  EXPECT_EQ(candidates_of(served.value, [](const SocketAddress&) { return true; }).size(), 64u);
}

}  // namespace
}  // namespace mutua::resolver
