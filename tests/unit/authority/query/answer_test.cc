#include "authority/query/answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "authority/zone/master_file.h"
#include "support/signed_zone.h"
#include "wire/message.h"
#include "wire/presentation.h"

namespace mutua::authority {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using wire::Name;
using wire::Rcode;
using wire::RRType;

constexpr char kZone[] = R"($TTL 300
@ 3600 SOA ns1 hostmaster 1 3600 600 604800 60
@ NS ns1
@ NS ns2
ns1 A 127.0.0.1
ns2 A 127.0.0.1
a1 A 192.0.2.1
a1 A 192.0.2.2
a1 AAAA 2001:db8::1
chain3 CNAME a1
chain2 CNAME chain3
chain1 CNAME chain2
dangle CNAME nothere
out CNAME www.example.org.
loop1 CNAME loop2
loop2 CNAME loop1
*.wild A 192.0.2.77
a.b.wild A 192.0.2.78
*.alias CNAME a1
deep.under.ent TXT "below"
mx MX 10 a1
_80._tcp.web SRV 0 0 20000 p1.peers
_80._tcp.web SRV 0 0 20001 p2.peers
_80._tcp.web PTR k1._80._tcp.web
p1.peers A 198.51.100.1
p2.peers A 198.51.100.2
p2.peers AAAA 2001:db8::2
old DNAME new
x.new A 192.0.2.9
_443._tcp.www.example.net.lookaside SRV 0 0 20002 p1.peers
_443._tcp.www.example.net.lookaside PTR k1._443._tcp.www.example.net.lookaside
lookaside TXT "not the root's"
)";

constexpr char kCuts[] = R"(
sub NS ns.sub
ns.sub A 192.0.2.53
sec NS ns.sec
ns.sec A 192.0.2.54
sec DS 12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
)";

std::shared_ptr<const ZoneVersion> zone(const std::string& text) {
  const Name apex = Name::parse("fed.test").value();
  return ZoneVersion::create(apex, parse_master_file(text, "test.zone", apex).value()).value();
}

std::shared_ptr<const ZoneVersion> without_cuts() {
  std::string text(kZone);
  text.erase(text.find("old DNAME"), std::string("old DNAME new\n").size());
  return zone(text);
}

struct Ask {
  Transport transport = Transport::tcp;
  Recursion recursion = Recursion::refused;
  std::optional<wire::Edns> edns = std::nullopt;
};

Bytes query(std::string_view name, RRType type, const Ask& ask = {}) {
  wire::Message message;
  message.header.id = 0x1234;
  message.question.push_back({Name::parse(name).value(), type, wire::RRClass::in});
  message.edns = ask.edns;
  return message.to_wire();
}

struct Reply {
  Answered::Kind kind;
  Bytes octets;
};

Reply raw(const ZoneVersion& version, BytesView message, const Ask& ask = {}) {
  Bytes out(ask.transport == Transport::tcp ? kTcpResponseSize : kUdpResponseSize);
  const Answered answered = answer(message, ask.transport, ask.recursion, version, out);
  out.resize(answered.size);
  return {answered.kind, out};
}

wire::Message reply(const ZoneVersion& version, std::string_view name, RRType type,
                    const Ask& ask = {}) {
  return wire::parse(raw(version, query(name, type, ask), ask).octets).value();
}

std::vector<std::string> texts(const std::vector<wire::Record>& records) {
  std::vector<std::string> out;
  for (const wire::Record& record : records) out.push_back(wire::to_text(record));
  return out;
}

const std::string kNegativeSoa =
    "fed.test. 60 IN SOA ns1.fed.test. hostmaster.fed.test. 1 3600 600 604800 60";

// Each expectation holds with zone cuts elsewhere in the zone and without: two ways of look-up.
class Answer : public testing::TestWithParam<bool> {
 protected:
  std::shared_ptr<const ZoneVersion> version_ =
      GetParam() ? zone(std::string(kZone) + kCuts) : without_cuts();

  wire::Message ask(std::string_view name, RRType type) { return reply(*version_, name, type); }
};

// Whichever way an answer is made, in steps or at once, beside others or alone: the octets are one.
TEST_P(Answer, StepsDoNotChangeIt) {
  std::vector<Bytes> messages;
  for (const char* name : {"fed.test", "a1.fed.test", "A1.FED.test", "no.fed.test",
                           "x.wild.fed.test", "chain1.fed.test", "_80._tcp.web.fed.test",
                           "b.wild.fed.test", "x.new.fed.test", "a.sub.fed.test", "example.org"})
    for (const RRType type : {RRType::a, RRType::srv, RRType::ns, RRType::any})
      messages.push_back(query(name, type));
  messages.push_back({});
  messages.push_back(Bytes(12));
  std::vector<Answering> together(messages.size());
  for (std::size_t i = 0; i < messages.size(); ++i) together[i].begin(messages[i], *version_);
  advance_together(together);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    Bytes out(kTcpResponseSize);
    const Answered answered = together[i].finish(Transport::tcp, Recursion::refused, out);
    out.resize(answered.size);
    const Reply alone = raw(*version_, messages[i]);
    EXPECT_EQ(answered.kind, alone.kind) << i;
    EXPECT_EQ(out, alone.octets) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(WithAndWithoutCuts, Answer, testing::Bool());

TEST_P(Answer, DataIsAuthoritative) {
  const auto response = ask("a1.fed.test", RRType::a);
  EXPECT_EQ(response.header.rcode, Rcode::noerror);
  EXPECT_TRUE(response.header.authoritative);
  EXPECT_FALSE(response.header.recursion_available);
  EXPECT_EQ(response.header.id, 0x1234);
  EXPECT_THAT(texts(response.answer),
              ElementsAre("a1.fed.test. 300 IN A 192.0.2.1", "a1.fed.test. 300 IN A 192.0.2.2"));
  EXPECT_THAT(response.authority, IsEmpty());
}

TEST_P(Answer, MissingNamesAreNameErrors) {
  for (const char* name :
       {"nothere.fed.test", "x.a1.fed.test", "a.b.c.d.e.f.fed.test", "x.ent.fed.test",
        "x.deep.under.ent.fed.test", "x.b.wild.fed.test", "x.a.b.wild.fed.test"}) {
    const auto response = ask(name, RRType::a);
    EXPECT_EQ(response.header.rcode, Rcode::nxdomain) << name;
    EXPECT_TRUE(response.header.authoritative) << name;
    EXPECT_THAT(texts(response.authority), ElementsAre(kNegativeSoa)) << name;
  }
}

TEST_P(Answer, MissingTypesAndEmptyNonTerminalsHaveNoData) {
  const std::pair<const char*, RRType> questions[] = {
      {"a1.fed.test", RRType::mx},        {"ent.fed.test", RRType::a},
      {"under.ent.fed.test", RRType::a},  {"foo.wild.fed.test", RRType::txt},
      {"b.wild.fed.test", RRType::a},     {"wild.fed.test", RRType::a},
      {"_tcp.web.fed.test", RRType::srv}, {"a1.fed.test", static_cast<RRType>(65280)},
      {"ent.fed.test", RRType::any}};
  for (const auto& [name, type] : questions) {
    const auto response = ask(name, type);
    EXPECT_EQ(response.header.rcode, Rcode::noerror) << name;
    EXPECT_TRUE(response.header.authoritative) << name;
    EXPECT_THAT(response.answer, IsEmpty()) << name;
    EXPECT_THAT(texts(response.authority), ElementsAre(kNegativeSoa)) << name;
  }
}

TEST_P(Answer, WildcardsAnswerUnderTheNameThatWasAsked) {
  EXPECT_THAT(texts(ask("foo.wild.fed.test", RRType::a).answer),
              ElementsAre("foo.wild.fed.test. 300 IN A 192.0.2.77"));
  EXPECT_THAT(texts(ask("foo.bar.wild.fed.test", RRType::a).answer),
              ElementsAre("foo.bar.wild.fed.test. 300 IN A 192.0.2.77"));
  EXPECT_THAT(texts(ask("*.wild.fed.test", RRType::a).answer),
              ElementsAre("*.wild.fed.test. 300 IN A 192.0.2.77"));
  EXPECT_THAT(texts(ask("a.b.wild.fed.test", RRType::a).answer),
              ElementsAre("a.b.wild.fed.test. 300 IN A 192.0.2.78"));
  EXPECT_THAT(texts(ask("z.alias.fed.test", RRType::aaaa).answer),
              ElementsAre("z.alias.fed.test. 300 IN CNAME a1.fed.test.",
                          "a1.fed.test. 300 IN AAAA 2001:db8::1"));
}

TEST_P(Answer, CnamesAreFollowedInsideTheZone) {
  EXPECT_THAT(texts(ask("chain1.fed.test", RRType::a).answer),
              ElementsAre("chain1.fed.test. 300 IN CNAME chain2.fed.test.",
                          "chain2.fed.test. 300 IN CNAME chain3.fed.test.",
                          "chain3.fed.test. 300 IN CNAME a1.fed.test.",
                          "a1.fed.test. 300 IN A 192.0.2.1", "a1.fed.test. 300 IN A 192.0.2.2"));
  EXPECT_THAT(ask("chain1.fed.test", RRType::cname).answer, SizeIs(1));
  const auto dangling = ask("dangle.fed.test", RRType::a);
  EXPECT_EQ(dangling.header.rcode, Rcode::nxdomain);  // RFC 6604
  EXPECT_THAT(texts(dangling.answer),
              ElementsAre("dangle.fed.test. 300 IN CNAME nothere.fed.test."));
  EXPECT_THAT(texts(dangling.authority), ElementsAre(kNegativeSoa));
  const auto no_data = ask("chain1.fed.test", RRType::mx);
  EXPECT_EQ(no_data.header.rcode, Rcode::noerror);
  EXPECT_THAT(no_data.answer, SizeIs(3));
  EXPECT_THAT(texts(no_data.authority), ElementsAre(kNegativeSoa));
  EXPECT_THAT(texts(ask("out.fed.test", RRType::a).answer),
              ElementsAre("out.fed.test. 300 IN CNAME www.example.org."));
}

TEST_P(Answer, ACnameLoopEnds) {
  const auto response = ask("loop1.fed.test", RRType::a);
  EXPECT_EQ(response.header.rcode, Rcode::noerror);
  EXPECT_LE(response.answer.size(), 16u);
}

TEST_P(Answer, TargetsBringTheirAddresses) {
  const auto response = ask("_80._tcp.web.fed.test", RRType::srv);
  EXPECT_THAT(texts(response.answer),
              ElementsAre("_80._tcp.web.fed.test. 300 IN SRV 0 0 20000 p1.peers.fed.test.",
                          "_80._tcp.web.fed.test. 300 IN SRV 0 0 20001 p2.peers.fed.test."));
  EXPECT_THAT(texts(response.additional),
              ElementsAre("p1.peers.fed.test. 300 IN A 198.51.100.1",
                          "p2.peers.fed.test. 300 IN A 198.51.100.2",
                          "p2.peers.fed.test. 300 IN AAAA 2001:db8::2"));
  EXPECT_THAT(ask("mx.fed.test", RRType::mx).additional, SizeIs(3));
  EXPECT_THAT(ask("fed.test", RRType::ns).additional, SizeIs(2));
}

TEST_P(Answer, EmbeddedNamesSurviveCompression) {
  EXPECT_THAT(texts(ask("_80._tcp.web.fed.test", RRType::ptr).answer),
              ElementsAre("_80._tcp.web.fed.test. 300 IN PTR k1._80._tcp.web.fed.test."));
  EXPECT_THAT(
      texts(ask("fed.test", RRType::soa).answer),
      ElementsAre("fed.test. 3600 IN SOA ns1.fed.test. hostmaster.fed.test. 1 3600 600 604800 60"));
}

TEST_P(Answer, TheQuestionComesBackByteForByte) {
  Bytes message = query("A1.fEd.TesT", RRType::a);
  const Bytes response = raw(*version_, message).octets;
  EXPECT_TRUE(std::equal(message.begin() + 12, message.end(), response.begin() + 12));
  EXPECT_EQ(wire::parse(response).value().answer.size(), 2u);
}

TEST_P(Answer, AnyIsOneRRset) {
  const auto response = ask("a1.fed.test", RRType::any);
  EXPECT_THAT(texts(response.answer), ElementsAre("a1.fed.test. 300 IN AAAA 2001:db8::1"));
}

TEST_P(Answer, NamesOfOthersAreRefused) {
  for (const char* name : {".", "com.", "test.", "www.example.org.", "xfed.test."}) {
    const auto response = raw(*version_, query(name, RRType::a, {.edns = wire::Edns{}}));
    EXPECT_EQ(response.kind, Answered::Kind::not_ours) << name;
    const auto message = wire::parse(response.octets).value();
    EXPECT_EQ(message.header.rcode, Rcode::refused) << name;
    EXPECT_FALSE(message.header.authoritative) << name;
    const auto error = wire::find_extended_error(message.edns);
    ASSERT_TRUE(error) << name;
    EXPECT_EQ(error->code, static_cast<int>(wire::ExtendedError::not_authoritative));
  }
}

TEST_P(Answer, LookedAsideNamesAnswerInTheirPlainForm) {
  const auto srv = ask("_443._tcp.www.example.net", RRType::srv);
  EXPECT_EQ(srv.header.rcode, Rcode::noerror);
  EXPECT_THAT(texts(srv.answer),
              ElementsAre("_443._tcp.www.example.net. 300 IN SRV 0 0 20002 p1.peers.fed.test."));
  EXPECT_THAT(srv.additional, SizeIs(1));
  // Compression prepared for the full name must not leak into the plain one.
  EXPECT_THAT(texts(ask("_443._tcp.www.example.net", RRType::ptr).answer),
              ElementsAre("_443._tcp.www.example.net. 300 IN PTR "
                          "k1._443._tcp.www.example.net.lookaside.fed.test."));
  for (const char* name :
       {"_443._tcp.www.example.net", "www.example.net", "_1._tcp.www.example.net"})
    EXPECT_EQ(ask(name, RRType::a).header.rcode, Rcode::refused) << name;
  EXPECT_EQ(ask(".", RRType::txt).header.rcode, Rcode::refused);
}

TEST(AnswerWithCuts, EverythingAtAndBelowACutIsReferred) {
  const auto version = zone(std::string(kZone) + kCuts);
  for (const char* name :
       {"sub.fed.test", "www.sub.fed.test", "a.b.c.sub.fed.test", "ns.sub.fed.test"}) {
    for (const RRType type : {RRType::a, RRType::ns, RRType::txt, RRType::any}) {
      const auto response = reply(*version, name, type);
      EXPECT_EQ(response.header.rcode, Rcode::noerror) << name;
      EXPECT_FALSE(response.header.authoritative) << name;
      EXPECT_THAT(response.answer, IsEmpty()) << name;
      EXPECT_THAT(texts(response.authority),
                  ElementsAre("sub.fed.test. 300 IN NS ns.sub.fed.test."));
      EXPECT_THAT(texts(response.additional), ElementsAre("ns.sub.fed.test. 300 IN A 192.0.2.53"));
    }
  }
}

TEST(AnswerWithCuts, TheParentAnswersForDs) {
  const auto version = zone(std::string(kZone) + kCuts);
  const auto secure = reply(*version, "sec.fed.test", RRType::ds);
  EXPECT_TRUE(secure.header.authoritative);
  EXPECT_THAT(secure.answer, SizeIs(1));
  const auto insecure = reply(*version, "sub.fed.test", RRType::ds);
  EXPECT_TRUE(insecure.header.authoritative);
  EXPECT_THAT(insecure.answer, IsEmpty());
  EXPECT_THAT(texts(insecure.authority), ElementsAre(kNegativeSoa));
  EXPECT_THAT(reply(*version, "x.sec.fed.test", RRType::ds).authority, SizeIs(1));
}

TEST(AnswerWithCuts, DnameSubstitutes) {
  const auto version = zone(std::string(kZone) + kCuts);
  EXPECT_THAT(texts(reply(*version, "x.old.fed.test", RRType::a).answer),
              ElementsAre("old.fed.test. 300 IN DNAME new.fed.test.",
                          "x.old.fed.test. 300 IN CNAME x.new.fed.test.",
                          "x.new.fed.test. 300 IN A 192.0.2.9"));
  EXPECT_EQ(reply(*version, "y.old.fed.test", RRType::a).header.rcode, Rcode::nxdomain);
  EXPECT_THAT(reply(*version, "old.fed.test", RRType::dname).answer, SizeIs(1));
}

TEST(AnswerWithCuts, ADnameThatMakesTooLongANameIsYxdomain) {
  const std::string long_name = std::string(60, 'l') + "." + std::string(60, 'm') + "." +
                                std::string(60, 'n') + ".new.fed.test.";
  const auto version = zone(std::string(kZone) + "short DNAME " + long_name + "\n");
  const auto response = reply(*version, std::string(60, 'x') + ".short.fed.test", RRType::a);
  EXPECT_EQ(response.header.rcode, Rcode::yxdomain);
}

std::string big_rrset(unsigned strings) {
  std::string text(kZone);
  for (unsigned i = 0; i < strings; ++i)
    text += "big TXT \"" + std::to_string(i) + std::string(240, 'x') + "\"\n";
  return text;
}

TEST(AnswerSize, WhatDoesNotFitIsLeftOutAndMarked) {
  const auto version = zone(big_rrset(16));
  wire::Edns edns;
  for (const std::uint16_t size :
       std::initializer_list<std::uint16_t>{100, 512, 1232, 4096, 65535}) {
    edns.udp_size = size;
    const Ask udp{.transport = Transport::udp, .edns = edns};
    const auto response = raw(*version, query("big.fed.test", RRType::txt, udp), udp);
    EXPECT_LE(response.octets.size(), std::clamp<std::size_t>(size, 512, 1232));
    const auto message = wire::parse(response.octets).value();
    EXPECT_TRUE(message.header.truncated) << size;
    EXPECT_TRUE(message.edns) << size;
    EXPECT_THAT(message.answer, IsEmpty()) << size;
  }
  const Ask plain{.transport = Transport::udp};
  EXPECT_LE(raw(*version, query("big.fed.test", RRType::txt, plain), plain).octets.size(), 512u);
  const auto whole = reply(*version, "big.fed.test", RRType::txt);
  EXPECT_FALSE(whole.header.truncated);
  EXPECT_THAT(whole.answer, SizeIs(16));
}

TEST(AnswerTransfer, AnIxfrByUdpGetsTheNewestSoa) {  // RFC 1995 section 2
  const auto version = without_cuts();
  const Ask udp{.transport = Transport::udp};
  const auto message = reply(*version, "FED.test", RRType::ixfr, udp);
  EXPECT_EQ(message.header.rcode, Rcode::noerror);
  EXPECT_TRUE(message.header.authoritative);
  ASSERT_THAT(message.answer, SizeIs(1));
  EXPECT_EQ(message.answer[0].type, RRType::soa);
  EXPECT_EQ(message.answer[0].ttl, 3600u);
  EXPECT_THAT(message.authority, IsEmpty());
  EXPECT_EQ(reply(*version, "a1.fed.test", RRType::ixfr, udp).header.rcode, Rcode::refused);
  EXPECT_EQ(reply(*version, "fed.test", RRType::axfr, udp).header.rcode, Rcode::refused);
  const Ask tcp{.transport = Transport::tcp};
  EXPECT_EQ(raw(*version, query("fed.test", RRType::ixfr, tcp), tcp).kind,
            Answered::Kind::transfer);
  EXPECT_EQ(reply(*ZoneVersion::expired(*version), "fed.test", RRType::ixfr, udp).header.rcode,
            Rcode::refused);
}

TEST(AnswerSize, AnRRsetLargerThanAnyMessageIsTruncatedOnTcpToo) {
  const auto message = reply(*zone(big_rrset(300)), "big.fed.test", RRType::txt);
  EXPECT_TRUE(message.header.truncated);
  EXPECT_THAT(message.answer, IsEmpty());
}

TEST(AnswerSize, OptionalAddressesAreLeftOutUnmarked) {
  std::string text(kZone);
  for (int i = 0; i < 14; ++i) {
    const std::string peer = "a-peer-with-a-rather-long-name-" + std::to_string(i) + ".peers";
    text += "_1._tcp.many SRV 0 0 1 " + peer + "\n" + peer + " AAAA 2001:db8::1\n";
  }
  const Ask udp{.transport = Transport::udp, .edns = wire::Edns{}};
  const auto response = reply(*zone(text), "_1._tcp.many.fed.test", RRType::srv, udp);
  EXPECT_FALSE(response.header.truncated);
  EXPECT_THAT(response.answer, SizeIs(14));
  EXPECT_LT(response.additional.size(), 14u);
}

// Five peers of both families do not fit with their signatures.
TEST(AnswerSize, EveryTargetHasOneAddressBeforeAnyHasTwo) {
  std::string text =
      "fed.test. 60 IN SOA ns1.fed.test. h.fed.test. 1 3600 600 604800 60\n"
      "fed.test. 60 IN NS ns1.fed.test.\n";
  for (const char digit : {'1', '2', '3', '4', '5'}) {
    const std::string peer = std::string("peer") + digit + ".fed.test.";
    text += "_1._tcp.many.fed.test. 60 IN SRV 0 0 1 " + peer + "\n" + peer + " 60 IN A 192.0.2." +
            digit + "\n" + peer + " 60 IN AAAA 2001:db8::" + digit + "\n";
  }
  const auto records = SignedZone("fed.test").sign(text, 4'000'000'000);
  const auto version =
      ZoneVersion::create(Name::parse("fed.test").value(), zone_transfer::rrsets_of(records))
          .value();
  for (const std::uint16_t size : {std::uint16_t{1200}, std::uint16_t{1232}}) {  // one is prepared
    wire::Edns edns;
    edns.udp_size = size;
    edns.dnssec_ok = true;
    const Ask udp{.transport = Transport::udp, .edns = edns};
    const auto response = reply(*version, "_1._tcp.many.fed.test", RRType::srv, udp);
    EXPECT_FALSE(response.header.truncated);
    const auto count = [&](RRType type) {
      return std::ranges::count(response.additional, type, &wire::Record::type);
    };
    EXPECT_EQ(count(RRType::a), 5) << size;
    EXPECT_LT(count(RRType::aaaa), 5) << size;
  }
}

TEST(AnswerSize, GlueThatDoesNotFitIsMarked) {  // RFC 9471
  std::string text(kZone);
  for (int i = 0; i < 15; ++i) {
    const std::string server = "ns" + std::to_string(i) + ".sub";
    text += "sub NS " + server + "\n" + server + " A 192.0.2.1\n" + server + " AAAA 2001:db8::1\n";
  }
  const Ask udp{.transport = Transport::udp};
  EXPECT_TRUE(reply(*zone(text), "www.sub.fed.test", RRType::a, udp).header.truncated);
}

TEST(AnswerSize, OwnersBehindTheReachOfPointersAreWrittenOut) {
  std::string text(kZone);
  for (int i = 0; i < 600; ++i) {
    const std::string peer = "peer" + std::to_string(i) + ".peers";
    text += "_1._tcp.many SRV 0 0 1 " + peer + "\n" + peer + " A 192.0.2.1\n";
  }
  const auto response = reply(*zone(text), "_1._tcp.many.fed.test", RRType::srv);
  EXPECT_THAT(response.answer, SizeIs(600));
  EXPECT_THAT(response.additional, SizeIs(600));
  for (const auto& record : response.additional)
    EXPECT_TRUE(record.owner.is_at_or_below(Name::parse("peers.fed.test").value()));
}

TEST(AnswerEdns, OnlyVersionZeroIsSpoken) {
  const auto version = without_cuts();
  wire::Edns edns;
  edns.version = 1;
  edns.dnssec_ok = true;
  const auto bad = reply(*version, "a1.fed.test", RRType::a, {.edns = edns});
  EXPECT_EQ(bad.header.rcode, Rcode::badvers);
  EXPECT_THAT(bad.answer, IsEmpty());
  ASSERT_TRUE(bad.edns);
  EXPECT_EQ(bad.edns->version, 0);
}

TEST(AnswerEdns, OptionsAreIgnoredAndDoComesBack) {
  const auto version = without_cuts();
  wire::Edns edns;
  edns.dnssec_ok = true;
  edns.options.push_back({100, {1, 2, 3}});
  const auto good = reply(*version, "a1.fed.test", RRType::a, {.edns = edns});
  EXPECT_THAT(good.answer, SizeIs(2));
  ASSERT_TRUE(good.edns);
  EXPECT_TRUE(good.edns->dnssec_ok);
  EXPECT_THAT(good.edns->options, IsEmpty());
  EXPECT_EQ(good.edns->udp_size, 1232);
  EXPECT_FALSE(reply(*version, "a1.fed.test", RRType::a).edns);
}

TEST(AnswerHeader, RecursionIsOfferedWhereItIs) {
  const auto version = without_cuts();
  const Ask offered{.recursion = Recursion::offered};
  EXPECT_TRUE(reply(*version, "a1.fed.test", RRType::a, offered).header.recursion_available);
}

TEST(AnswerHeader, TypesAndClassesThatAreNoData) {
  const auto version = without_cuts();
  const std::pair<int, Rcode> types[] = {
      {0, Rcode::formerr},   {41, Rcode::formerr},  {249, Rcode::formerr}, {250, Rcode::formerr},
      {251, Rcode::refused}, {252, Rcode::refused}, {253, Rcode::notimp},  {65535, Rcode::noerror}};
  for (const auto& [type, rcode] : types)
    EXPECT_EQ(reply(*version, "fed.test", static_cast<RRType>(type)).header.rcode, rcode) << type;
  Bytes chaos = query("fed.test", RRType::soa);
  chaos.back() = 3;
  EXPECT_EQ(wire::parse_header(raw(*version, chaos).octets)->rcode, Rcode::refused);
}

TEST(AnswerHeader, OtherOpcodesAndUpdates) {
  const auto version = without_cuts();
  Bytes message = query("fed.test", RRType::soa);
  for (const int opcode : {1, 2, 3, 6, 15}) {
    message[2] = static_cast<std::uint8_t>(opcode << 3);
    const auto response = raw(*version, message);
    ASSERT_EQ(response.kind, Answered::Kind::response);
    EXPECT_EQ(response.octets[3] & 15, static_cast<int>(Rcode::notimp));
    EXPECT_EQ(response.octets[2] >> 3 & 15, opcode);
  }
  for (const int opcode : {4, 5}) {
    message[2] = static_cast<std::uint8_t>(opcode << 3);
    EXPECT_EQ(raw(*version, message).kind, Answered::Kind::update);
  }
  EXPECT_EQ(raw(*ZoneVersion::expired(*version), query("fed.test", RRType::soa)).octets[3] & 15,
            static_cast<int>(Rcode::servfail));
}

TEST(AnswerMalformed, SilenceForWhatCouldLoop) {
  const auto version = without_cuts();
  Bytes message = query("fed.test", RRType::soa);
  for (const std::size_t size : {0u, 1u, 2u, 11u})
    EXPECT_EQ(raw(*version, BytesView(message).first(size)).kind, Answered::Kind::silent);
  message[2] |= 0x80;
  EXPECT_EQ(raw(*version, message).kind, Answered::Kind::silent);
}

TEST(AnswerMalformed, FormerrForWhatIsBroken) {
  const auto version = without_cuts();
  const Bytes good = query("fed.test", RRType::soa, {.edns = wire::Edns{}});
  const auto with = [&](std::size_t at, std::uint8_t octet) {
    Bytes bad = good;
    bad[at] = octet;
    return bad;
  };
  const auto plus = [&](std::initializer_list<std::uint8_t> more, std::uint8_t additional) {
    Bytes bad = good;
    bad.insert(bad.end(), more);
    bad[11] = additional;
    return bad;
  };
  const std::vector<Bytes> messages = {
      with(5, 0),
      with(5, 2),
      with(4, 255),
      with(7, 9),
      with(11, 2),  // counts that lie
      with(12, 0xC0),
      with(12, 0x41),
      with(12, 0x3f),  // labels that are none
      with(good.size() - 1, 0xff),
      with(good.size() - 2, 0xff),                    // RDLENGTH beyond the end
      plus({0}, 1),                                   // trailing octets
      plus({0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0}, 2),  // a second OPT
  };
  for (const Bytes& message : messages) {
    const auto response = raw(*version, message);
    ASSERT_EQ(response.kind, Answered::Kind::response);
    EXPECT_EQ(response.octets[3] & 15, static_cast<int>(Rcode::formerr));
  }
  for (std::size_t size = 12; size < good.size(); ++size)
    EXPECT_EQ(raw(*version, BytesView(good).first(size)).octets.at(3) & 15, 1) << size;
}

TEST(AnswerMalformed, TheLongestNameIsTaken) {
  const auto version = without_cuts();
  const std::string label(61, 'm');
  const std::string name =
      label + "." + label + "." + label + "." + std::string(57, 'n') + ".fed.test";
  ASSERT_EQ(Name::parse(name).value().wire().size(), 255u - 1);
  const auto response = reply(*version, "n" + name, RRType::a);
  EXPECT_EQ(response.header.rcode, Rcode::nxdomain);
}

}  // namespace
}  // namespace mutua::authority
