#include "zone_transfer/incoming_transfer.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "authority/transfer/received_changes.h"
#include "authority/transfer/stream_signature.h"
#include "support/fake_clock.h"
#include "wire/presentation.h"
#include "zone_transfer/stream_verifier.h"

namespace mutua::authority {
namespace {

using wire::RRType;
using namespace zone_transfer;

constexpr std::uint16_t kId = 7;

wire::Name zone() { return wire::Name::parse("f").value(); }

wire::Record record(const std::string& text) {
  return wire::record_from_text(text, 60, wire::Name()).value();
}
std::string soa(unsigned serial, const std::string& more = "1 1 1 60") {
  return "f. 60 IN SOA ns.f. h.f. " + std::to_string(serial) + " " + more;
}

wire::Message message(const std::vector<std::string>& records, RRType type = RRType::axfr) {
  wire::Message made;
  made.header.id = kId;
  made.header.response = made.header.authoritative = true;
  made.question.push_back({zone(), type, wire::RRClass::in});
  for (const std::string& text : records) made.answer.push_back(record(text));
  return made;
}

// The records of a zone with this serial, SOA at both ends.
std::vector<std::string> whole(unsigned serial, std::vector<std::string> more = {}) {
  std::vector<std::string> records{soa(serial), "f. 60 IN NS ns.f.", "ns.f. 60 IN A 127.0.0.1"};
  records.insert(records.end(), more.begin(), more.end());
  records.push_back(soa(serial));
  return records;
}

// How an AXFR (or an IXFR from `have`) in these messages ends: "" where it is taken.
std::string outcome(const std::vector<wire::Message>& messages,
                    std::optional<std::uint32_t> have = std::nullopt, IncomingLimits limits = {}) {
  IncomingTransfer transfer(zone(), kId, have, limits);
  for (const wire::Message& one : messages) {
    const auto taken = transfer.take(one, one.to_wire().size());
    if (!taken) return taken.error().message();
    if (*taken) return &one == &messages.back() ? "" : "ended early";
  }
  return "not finished";
}
std::string ixfr(const std::vector<std::string>& records, std::uint32_t have = 1) {
  return outcome({message(records, RRType::ixfr)}, have);
}

TEST(IncomingTransfer, AWholeZoneInAnyNumberOfMessages) {
  const auto records = whole(5, {"a.f. 60 IN TXT x", "b.f. 60 IN TXT y"});
  for (std::size_t cut = 1; cut < records.size(); ++cut) {
    const auto at = records.begin() + static_cast<std::ptrdiff_t>(cut);
    wire::Message second = message({at, records.end()});
    second.question.clear();
    IncomingTransfer transfer(zone(), kId, std::nullopt);
    EXPECT_FALSE(transfer.take(message({records.begin(), at}), 100).value());
    ASSERT_TRUE(transfer.take(second, 100).value());
    const auto followed = follow(nullptr, zone(), transfer.finish()).value();
    EXPECT_EQ(followed.version->serial(), 5u);
    EXPECT_EQ(followed.version->rrset_count(), 5u);
  }
}

TEST(IncomingTransfer, RecordsMayBeTakenAsTheyCome) {
  const auto records = whole(5, {"a.f. 60 IN TXT x", "b.f. 60 IN TXT y"});
  IncomingTransfer transfer(zone(), kId, std::nullopt);
  std::vector<wire::RRType> types;
  for (std::size_t at = 0; at < records.size(); ++at) {
    EXPECT_EQ(transfer.take(message({records[at]}), 100).value(), at + 1 == records.size());
    const auto taken = transfer.take_records();
    EXPECT_LE(taken.size(), 2u);  // the SOA comes with what follows it
    for (const wire::Record& one : taken) types.push_back(one.type);
  }
  ASSERT_EQ(types.size(), records.size() - 1);
  EXPECT_EQ(std::ranges::count(types, RRType::soa), 1);
  EXPECT_EQ(types.front(), RRType::soa);
}

TEST(IncomingTransfer, WhatDoesNotBelongToTheZoneIsRefused) {
  EXPECT_EQ(outcome({message(whole(5, {"a.g. 60 IN A 192.0.2.1"}))}), "a.g. lies outside the zone");
  EXPECT_EQ(outcome({message(whole(5, {"a.f. 60 IN SOA n.f. h.f. 1 1 1 1 1"}))}), "a SOA at a.f.");
  EXPECT_NE(outcome({message(whole(5, {soa(6)}))}), "");
  wire::Message chaos = message(whole(5));
  chaos.answer[1].rclass = wire::RRClass::ch;
  EXPECT_NE(outcome({chaos}), "");
  wire::Message meta = message(whole(5));
  meta.answer[1].type = RRType::any;
  EXPECT_NE(outcome({meta}), "");
  wire::Message short_address = message(whole(5));
  short_address.answer[2].rdata.pop_back();
  EXPECT_NE(outcome({short_address}), "");
}

TEST(IncomingTransfer, WhatIsNoAnswerIsRefused) {
  wire::Message other_id = message(whole(5));
  other_id.header.id = kId + 1;
  EXPECT_NE(outcome({other_id}), "");
  wire::Message refused = message({});
  refused.header.rcode = wire::Rcode::refused;
  EXPECT_EQ(outcome({refused}), "answered REFUSED");
  wire::Message request = message(whole(5));
  request.header.response = false;
  EXPECT_NE(outcome({request}), "");
  wire::Message other_question = message(whole(5));
  other_question.question.front().name = wire::Name::parse("g").value();
  EXPECT_NE(outcome({other_question}), "");
  EXPECT_EQ(outcome({message({})}), "a message without records");
  EXPECT_EQ(outcome({message({"f. 60 IN NS ns.f."})}), "the first record is no SOA");
  EXPECT_EQ(outcome({message({soa(5), soa(5)})}), "a zone without records");
  EXPECT_EQ(outcome({message({soa(5), "f. 60 IN NS ns.f."})}), "not finished");
  EXPECT_EQ(outcome({message(whole(5, {soa(5), "a.f. 60 IN TXT late"}))}),
            "records after the last");
}

TEST(IncomingTransfer, ThereAreLimits) {
  EXPECT_EQ(outcome({message(whole(5))}, std::nullopt, {1 << 20, 3}),
            "more records than a zone may have");
  EXPECT_EQ(outcome({message(whole(5))}, std::nullopt, {20, 100}),
            "more octets than a zone may have");
}

TEST(IncomingTransfer, DifferencesLeadFromOneSerialToTheNext) {
  const auto from =
      follow(nullptr, zone(),
             [] {
               IncomingTransfer transfer(zone(), kId, std::nullopt);
               EXPECT_TRUE(transfer.take(message(whole(1, {"a.f. 60 IN TXT x"})), 9).value());
               return transfer.finish();
             }())
          .value()
          .version;
  IncomingTransfer transfer(zone(), kId, 1);
  ASSERT_TRUE(
      transfer
          .take(message({soa(3), soa(1), "A.f. 60 IN TXT x", soa(2), "a.f. 30 IN TXT y",
                         "b.f. 60 IN A 192.0.2.1", soa(2), "a.f. 30 IN TXT y", soa(3), soa(3)},
                        RRType::ixfr),
                100)
          .value());
  const auto followed = follow(from.get(), zone(), transfer.finish()).value();
  EXPECT_EQ(followed.changes.size(), 2u);
  EXPECT_EQ(followed.version->serial(), 3u);
  EXPECT_FALSE(followed.version->node(wire::Name::parse("a.f").value()));
  EXPECT_TRUE(followed.version->node(wire::Name::parse("b.f").value()));

  IncomingTransfer wrong(zone(), kId, 1);
  ASSERT_TRUE(
      wrong.take(message({soa(2), soa(1), "c.f. 60 IN TXT x", soa(2), soa(2)}, RRType::ixfr), 100)
          .value());
  EXPECT_FALSE(follow(from.get(), zone(), wrong.finish()).ok());
}

TEST(IncomingTransfer, DifferencesThatDoNotFitTogetherAreRefused) {
  EXPECT_EQ(ixfr({soa(2), soa(1), soa(2), soa(2)}), "");
  EXPECT_EQ(ixfr({soa(1)}), "");           // nothing newer
  EXPECT_EQ(ixfr(whole(2)), "");           // the whole zone instead
  EXPECT_EQ(ixfr({soa(4294967295)}), "");  // older
  EXPECT_EQ(ixfr({soa(2)}), "not finished");
  EXPECT_NE(ixfr({soa(3), soa(2), soa(3), soa(3)}), "");                  // from another serial
  EXPECT_NE(ixfr({soa(3), soa(1), soa(2), soa(1), soa(3), soa(3)}), "");  // not one after another
  EXPECT_NE(ixfr({soa(2), soa(1), soa(0), soa(0)}), "");                  // leads back
  EXPECT_NE(ixfr({soa(2), soa(1), soa(2), soa(2, "9 9 9 60")}), "");
  // Over the end of serial numbers (RFC 1982).
  EXPECT_EQ(ixfr({soa(0), soa(4294967295), soa(0), soa(0)}, 4294967295), "");
}

// ---------------------------------------------------------------- signatures

class StreamVerifierTest : public testing::Test {
 protected:
  // The request, signed; then what the primary signs its answer with.
  StreamSignature ask() {
    const Bytes request = verifier_.sign_request(message({}).to_wire(), clock_.wall_now()).value();
    const auto parsed = wire::parse(request).value();
    const wire::Tsig tsig = wire::read_tsig(request, parsed).value();
    ResponseSignature first;
    first.key = &key_;
    first.fields = tsig;
    first.request_mac = tsig.mac;
    return StreamSignature(first);
  }
  bool check(const Bytes& bytes) {
    return verifier_.check(bytes, wire::parse(bytes).value(), clock_.wall_now()).ok();
  }
  static Bytes plain() { return message({"a.f. 60 IN TXT x"}).to_wire(); }

  FakeClock clock_;
  wire::TsigKey key_{wire::Name::parse("k").value(), "hmac-sha256", Bytes(32, 1)};
  StreamVerifier verifier_{key_};
};

TEST_F(StreamVerifierTest, EveryMessageIsSignedOverTheOneBefore) {
  StreamSignature signature = ask();
  for (int i = 0; i < 3; ++i)
    EXPECT_TRUE(check(signature.sign(plain(), clock_.wall_now()).value()));
  EXPECT_TRUE(verifier_.finish().ok());
  const Bytes skipped = signature.sign(plain(), clock_.wall_now()).value();
  EXPECT_FALSE(check(signature.sign(plain(), clock_.wall_now()).value()));
}

TEST_F(StreamVerifierTest, TheFirstAndTheLastAreSigned) {
  StreamSignature signature = ask();
  EXPECT_FALSE(check(plain()));
  EXPECT_FALSE(verifier_.finish().ok());
  EXPECT_TRUE(check(signature.sign(plain(), clock_.wall_now()).value()));
  EXPECT_TRUE(check(plain()));
  EXPECT_FALSE(verifier_.finish().ok());
}

TEST_F(StreamVerifierTest, ASignatureCoversTheUnsignedMessagesBeforeIt) {
  StreamSignature signature = ask();
  EXPECT_TRUE(check(signature.sign(plain(), clock_.wall_now()).value()));
  EXPECT_TRUE(check(plain()));
  EXPECT_FALSE(check(signature.sign(plain(), clock_.wall_now()).value()));  // covers one only
}

TEST_F(StreamVerifierTest, AlteredLateAndForeignMessagesAreRefused) {
  StreamSignature signature = ask();
  Bytes altered = signature.sign(plain(), clock_.wall_now()).value();
  altered[3] ^= 0x10;
  EXPECT_FALSE(check(altered));
  StreamSignature late = ask();
  const Bytes once = late.sign(plain(), clock_.wall_now()).value();
  clock_.advance(std::chrono::seconds(301));
  EXPECT_FALSE(check(once));
  key_.secret[0] ^= 1;
  StreamSignature foreign = ask();
  EXPECT_FALSE(check(foreign.sign(plain(), clock_.wall_now()).value()));
}

TEST_F(StreamVerifierTest, AHundredMessagesInARowAreNotTakenUnsigned) {
  StreamSignature signature = ask();
  EXPECT_TRUE(check(signature.sign(plain(), clock_.wall_now()).value()));
  for (int i = 0; i < 99; ++i) EXPECT_TRUE(check(plain()));
  EXPECT_FALSE(check(plain()));
}

}  // namespace
}  // namespace mutua::authority
