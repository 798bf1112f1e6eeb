#include "authority/writer/writer.h"

#include "support/writer_fixture.h"

namespace mutua::test {
namespace {

using testing::Test;
using wire::Rcode;
using wire::RRType;

class Writer : public WriterTest {};

TEST_F(Writer, OwnerClaimsAServiceAndItIsServedOnceAdmitted) {
  const Party owner, peer;
  trust_base();
  EXPECT_EQ(claim(owner, "blog.fed.test.").rcode, Rcode::noerror);
  const Answer committed = commit(peer, "blog.fed.test.");
  EXPECT_EQ(committed.rcode, Rcode::noerror) << committed.text;
  EXPECT_TRUE(served("blog.fed.test.").empty());
  EXPECT_EQ(admit(owner, "blog.fed.test.", peer).rcode, Rcode::noerror);
  EXPECT_EQ(served("blog.fed.test."), std::vector<std::string>{"0 0 20080 " + peer.host});
}

TEST_F(Writer, EcdsaKeysWorkAsWell) {
  const Party owner(trust::Algorithm::ecdsa_p256_sha256);
  EXPECT_EQ(claim(owner, "blog.fed.test.").rcode, Rcode::noerror);
  EXPECT_EQ(rdatas("blog.fed.test.", RRType::key).size(), 1u);
}

TEST_F(Writer, TheSamePacketFromElsewhereIsRefusedAlsoAfterARestart) {
  const Party owner;
  UpdateBuilder update(kZone);
  update.add_key("blog.fed.test.", owner.key.public_key());
  const Bytes packet = by(owner, "blog.fed.test.", update);
  EXPECT_EQ(send(packet, "127.0.0.1:4000").rcode, Rcode::noerror);
  UpdateBuilder removal(kZone);
  removal.remove_name("blog.fed.test.");
  EXPECT_EQ(send(by(owner, "blog.fed.test.", removal)).rcode, Rcode::noerror);

  const Answer replay = send(packet, "127.0.0.1:4001");
  EXPECT_EQ(replay.rcode, Rcode::refused);
  EXPECT_NE(replay.text.find("executed before"), std::string::npos) << replay.text;
  restart();
  EXPECT_EQ(send(packet, "127.0.0.1:4000").rcode, Rcode::refused);
  EXPECT_TRUE(rdatas("blog.fed.test.", RRType::key).empty());
}

TEST_F(Writer, ARepetitionFromTheSameSocketGetsTheFirstAnswer) {
  const Party owner;
  UpdateBuilder update(kZone);
  update.add_key("blog.fed.test.", owner.key.public_key());
  const Bytes packet = by(owner, "blog.fed.test.", update);
  const Answer first = send(packet);
  const auto serial = zone()->serial();
  EXPECT_EQ(send(packet).bytes, first.bytes);
  EXPECT_EQ(zone()->serial(), serial);
  clock_.advance(std::chrono::seconds(10));
  EXPECT_EQ(send(packet).rcode, Rcode::refused);
}

TEST_F(Writer, ARepetitionInTheSameGroupIsExecutedOnce) {
  UpdateBuilder update(kZone);
  update.add("a.fed.test. 60 IN A 192.0.2.1");
  const Bytes packet = by_operator(update);
  std::vector<Bytes> replies;
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(writer_->submit({packet, SocketAddress::parse("127.0.0.1:4000").value(), false,
                                 [&](Bytes answer) { replies.push_back(std::move(answer)); }}));
  }
  writer_->process_now();
  ASSERT_EQ(replies.size(), 2u);
  EXPECT_EQ(replies[0], replies[1]);
  EXPECT_EQ(read(replies[1]).rcode, Rcode::noerror);
}

TEST_F(Writer, InceptionOfAKeyNeverGoesBack) {
  const Party owner;
  UpdateBuilder first(kZone), withheld(kZone);
  first.edns().add_key("blog.fed.test.", owner.key.public_key());
  withheld.edns().add("blog.fed.test. 60 IN TXT late");
  EXPECT_EQ(
      send(sign_sig0(first.unsigned_bytes(), owner.key, "blog.fed.test.", clock_.wall_now(), -100))
          .rcode,
      Rcode::noerror);
  const Answer late = send(
      sign_sig0(withheld.unsigned_bytes(), owner.key, "blog.fed.test.", clock_.wall_now(), -101));
  EXPECT_EQ(late.rcode, Rcode::refused);
  EXPECT_TRUE(rdatas("blog.fed.test.", RRType::txt).empty());
}

TEST_F(Writer, TimesOfSignaturesAreBounded) {
  const Party owner;
  struct Case {
    std::int64_t inception, expiration;
    Rcode rcode;
  };
  for (const Case& c : {Case{-300, 300, Rcode::noerror},
                        {-299, 0, Rcode::noerror},
                        {-298, -1, Rcode::refused},
                        {301, 400, Rcode::refused},
                        {-200, 701, Rcode::refused},
                        {300, 600, Rcode::noerror},
                        {-1'800'000'000, -1'800'000'000, Rcode::refused},
                        {300, 200, Rcode::refused}}) {
    UpdateBuilder update(kZone);
    update.edns().add_key("blog.fed.test.", owner.key.public_key());
    const Answer answer = send(sign_sig0(update.unsigned_bytes(), owner.key, "blog.fed.test.",
                                         clock_.wall_now(), c.inception, c.expiration));
    EXPECT_EQ(answer.rcode, c.rcode) << c.inception << " " << c.expiration << " " << answer.text;
  }
}

TEST_F(Writer, AnUpdateSignedByAnotherKeyIsRefused) {
  const Party owner, thief;
  ASSERT_EQ(claim(owner, "blog.fed.test.").rcode, Rcode::noerror);
  EXPECT_EQ(claim(thief, "blog.fed.test.").rcode, Rcode::refused);
  UpdateBuilder update(kZone);
  update.add("blog.fed.test. 60 IN TXT stolen");
  EXPECT_EQ(send(by(thief, "blog.fed.test.", update)).rcode, Rcode::refused);
  EXPECT_EQ(rdatas("blog.fed.test.", RRType::txt).size(), 1u);
}

TEST_F(Writer, UnsignedUpdatesAreRefusedWithAReason) {
  UpdateBuilder update(kZone);
  update.edns().add("a.fed.test. 60 IN A 192.0.2.1");
  const Answer answer = send(update.unsigned_bytes());
  EXPECT_EQ(answer.rcode, Rcode::refused);
  EXPECT_NE(answer.text.find("must be signed"), std::string::npos);
}

TEST_F(Writer, ResponsesAndShortMessagesGetNoAnswer) {
  UpdateBuilder update(kZone);
  update.message().header.response = true;
  EXPECT_TRUE(send(update.unsigned_bytes()).bytes.empty());
  EXPECT_TRUE(send(Bytes(11, 0)).bytes.empty());
}

TEST_F(Writer, GarbageBehindAHeaderIsFormerr) {
  UpdateBuilder update(kZone);
  Bytes bytes = update.unsigned_bytes();
  bytes.push_back(0);
  EXPECT_EQ(send(bytes).rcode, Rcode::formerr);
}

TEST_F(Writer, TsigErrorsAreToldAsRfc8945Says) {
  UpdateBuilder update(kZone);
  update.add("a.fed.test. 60 IN A 192.0.2.1");
  const auto error_of = [](const Answer& answer) {
    return wire::read_tsig(answer.bytes, answer.message).value().error;
  };
  const Answer bad_key =
      send(sign_tsig(update.unsigned_bytes(), "nobody", kSecret, clock_.wall_now()));
  EXPECT_EQ(bad_key.rcode, Rcode::notauth);
  EXPECT_EQ(error_of(bad_key), Rcode::badkey);
  const Answer bad_signature =
      send(sign_tsig(update.unsigned_bytes(), "operator", to_bytes("wrong"), clock_.wall_now()));
  EXPECT_EQ(bad_signature.rcode, Rcode::notauth);
  EXPECT_EQ(error_of(bad_signature), Rcode::badsig);
  EXPECT_TRUE(wire::read_tsig(bad_signature.bytes, bad_signature.message).value().mac.empty());
  const Answer bad_time = send(sign_tsig(update.unsigned_bytes(), "operator", kSecret,
                                         clock_.wall_now() - std::chrono::seconds(301)));
  EXPECT_EQ(bad_time.rcode, Rcode::notauth);
  EXPECT_EQ(error_of(bad_time), Rcode::badtime);
  const auto tsig = wire::read_tsig(bad_time.bytes, bad_time.message).value();
  EXPECT_EQ(tsig.mac.size(), 32u);
  EXPECT_EQ(tsig.other.size(), 6u);
}

TEST_F(Writer, TsigAnswersCarryAMacOverTheRequestsMac) {
  UpdateBuilder update(kZone);
  update.add("a.fed.test. 60 IN A 192.0.2.1");
  const Bytes request = by_operator(update);
  const auto request_tsig = wire::read_tsig(request, wire::parse(request).value()).value();
  const Answer answer = send(request);
  const auto tsig = wire::read_tsig(answer.bytes, answer.message).value();
  const Bytes covered =
      wire::tsig_signed_bytes_of(answer.bytes, answer.message, tsig, request_tsig.mac);
  EXPECT_EQ(tsig.mac, trust::hmac("hmac-sha256", kSecret, covered).value());
  EXPECT_EQ(send(request, "127.0.0.1:9").rcode, Rcode::refused);  // a copy
}

TEST_F(Writer, ACommitmentLapsesOnTimeAndItsListWithIt) {
  const Party owner, peer;
  trust_base();
  claim(owner, "blog.fed.test.", "admission=open");
  commit(peer, "blog.fed.test.");
  ASSERT_EQ(served("blog.fed.test.").size(), 1u);
  clock_.advance(std::chrono::seconds(59));
  writer_->process_now();
  EXPECT_EQ(served("blog.fed.test.").size(), 1u);
  clock_.advance(std::chrono::seconds(1));
  writer_->process_now();
  EXPECT_TRUE(served("blog.fed.test.").empty());
  EXPECT_TRUE(rdatas("_80._tcp.blog.fed.test.", RRType::ptr).empty());
  EXPECT_TRUE(rdatas(peer.host, RRType::a).empty());
  EXPECT_EQ(rdatas(peer.host, RRType::key).size(), 1u);  // the name stays taken
  clock_.advance(std::chrono::hours(14 * 24));
  writer_->process_now();
  EXPECT_TRUE(rdatas(peer.host, RRType::key).empty());
}

TEST_F(Writer, AClockThatJumpsEndsNoLeaseAndKeepsNone) {
  const Party owner, peer;
  trust_base();
  claim(owner, "blog.fed.test.", "admission=open");
  commit(peer, "blog.fed.test.");
  clock_.jump(std::chrono::hours(5));  // ahead: nobody lapses for that
  clock_.advance(std::chrono::seconds(59));
  writer_->process_now();
  EXPECT_EQ(served("blog.fed.test.").size(), 1u);
  clock_.jump(std::chrono::hours(-9));  // back: nobody lives longer for that
  clock_.advance(std::chrono::seconds(1));
  writer_->process_now();
  EXPECT_TRUE(served("blog.fed.test.").empty());
}

TEST_F(Writer, AClockThatJumpsBringsNoRequestBack) {
  const Party peer;
  UpdateBuilder update = registration(peer);
  const Bytes packet = by(peer, peer.host, update);
  ASSERT_EQ(send(packet).rcode, Rcode::noerror);
  clock_.jump(std::chrono::hours(2));
  clock_.advance(std::chrono::seconds(30));
  trust_base();  // a commit, which forgets what has expired
  clock_.jump(std::chrono::hours(-2));
  EXPECT_EQ(send(packet, "127.0.0.1:4001").rcode, Rcode::refused);
}

TEST_F(Writer, WhatLapsedWhileNobodyRanIsGoneBeforeTheFirstAnswer) {
  const Party owner, peer;
  trust_base();
  claim(owner, "blog.fed.test.", "admission=open");
  commit(peer, "blog.fed.test.");
  ASSERT_EQ(served("blog.fed.test.").size(), 1u);
  restart();
  EXPECT_EQ(served("blog.fed.test.").size(), 1u);
  clock_.advance(std::chrono::seconds(61));
  restart();
  EXPECT_TRUE(served("blog.fed.test.").empty());
  restart();
  EXPECT_TRUE(served("blog.fed.test.").empty());
}

TEST_F(Writer, APureRefreshKeepsTheSerialAndTheService) {
  const Party owner, peer;
  trust_base();
  claim(owner, "blog.fed.test.", "admission=open");
  commit(peer, "blog.fed.test.");
  const auto serial = zone()->serial();
  for (int i = 0; i < 5; ++i) {
    clock_.advance(std::chrono::seconds(48));
    EXPECT_EQ(commit(peer, "blog.fed.test.").rcode, Rcode::noerror);
    EXPECT_EQ(served("blog.fed.test.").size(), 1u);
  }
  EXPECT_EQ(zone()->serial(), serial);
  restart();
  EXPECT_EQ(served("blog.fed.test.").size(), 1u);
}

TEST_F(Writer, ADenialTakesThePeerOutOfThatServiceOnlyAndOutlivesRenewals) {
  const Party owner, other_owner, peer;
  trust_base();
  claim(owner, "blog.fed.test.", "admission=open");
  claim(other_owner, "wiki.fed.test.", "admission=open");
  commit(peer, "blog.fed.test.");
  commit(peer, "wiki.fed.test.");
  ASSERT_EQ(served("blog.fed.test.").size(), 1u);
  ASSERT_EQ(served("wiki.fed.test.").size(), 1u);
  EXPECT_EQ(deny(owner, "blog.fed.test.", peer).rcode, Rcode::noerror);
  EXPECT_TRUE(served("blog.fed.test.").empty());
  EXPECT_EQ(served("wiki.fed.test.").size(), 1u);
  clock_.advance(std::chrono::seconds(30));
  commit(peer, "blog.fed.test.");
  commit(peer, "wiki.fed.test.");
  EXPECT_TRUE(served("blog.fed.test.").empty());
  restart();
  EXPECT_TRUE(served("blog.fed.test.").empty());
  EXPECT_EQ(served("wiki.fed.test.").size(), 1u);
}

TEST_F(Writer, ARevokedBaseTakesAllItsServicesOut) {
  const Party owner, peer;
  trust_base();
  claim(owner, "blog.fed.test.", "admission=open");
  commit(peer, "blog.fed.test.");
  ASSERT_EQ(served("blog.fed.test.").size(), 1u);
  trust_base("revoked");
  EXPECT_TRUE(served("blog.fed.test.").empty());
  trust_base();
  EXPECT_EQ(served("blog.fed.test.").size(), 1u);
}

TEST_F(Writer, AFailedCommitAnswersServfailAndChangesNothing) {
  const auto before = zone();
  store_.fail_commits(1);
  UpdateBuilder update(kZone);
  update.add("a.fed.test. 60 IN A 192.0.2.1");
  EXPECT_EQ(operate(update).rcode, Rcode::servfail);
  EXPECT_EQ(zone(), before);
  EXPECT_TRUE(rdatas("a.fed.test.", RRType::a).empty());
  UpdateBuilder again(kZone);
  again.add("a.fed.test. 60 IN A 192.0.2.1");
  EXPECT_EQ(operate(again).rcode, Rcode::noerror);
  EXPECT_EQ(rdatas("a.fed.test.", RRType::a).size(), 1u);
}

TEST_F(Writer, AFullQueueTakesNoMore) {
  UpdateBuilder update(kZone);
  const auto submit_from = [&](const std::string& source) {
    return writer_->submit(
        {update.unsigned_bytes(), SocketAddress::parse(source).value(), false, [](Bytes) {}});
  };
  for (int i = 0; i < 1024; ++i) ASSERT_TRUE(submit_from("127.0.0.1:4000"));
  EXPECT_FALSE(submit_from("127.0.0.1:4001"));  // one source's share
  EXPECT_TRUE(submit_from("127.0.0.2:4000"));
  writer_->process_now();
  EXPECT_TRUE(submit_from("127.0.0.1:4000"));
}

TEST_F(Writer, TheThreadAnswersAndStopsCleanly) {
  writer_->start();
  UpdateBuilder update(kZone);
  update.add("a.fed.test. 60 IN A 192.0.2.1");
  Bytes reply;
  ASSERT_TRUE(writer_->submit({by_operator(update), SocketAddress::parse("127.0.0.1:4000").value(),
                               false, [&](Bytes answer) { reply = std::move(answer); }}));
  writer_->stop();  // what waits is answered first
  EXPECT_EQ(read(reply).rcode, Rcode::noerror);
  EXPECT_FALSE(writer_->submit({{}, SocketAddress(), false, [](Bytes) {}}));
}

TEST_F(Writer, AFloodOfBadSignaturesIsCutOffForItsSourceOnly) {
  const Party owner;
  ASSERT_EQ(claim(owner, "blog.fed.test.").rcode, Rcode::noerror);
  Answer last;
  for (int i = 0; i < 60; ++i) {
    UpdateBuilder update(kZone);
    update.edns().add("blog.fed.test. 60 IN TXT x");
    Bytes bytes =
        sign_sig0(update.unsigned_bytes(), owner.key, "blog.fed.test.", clock_.wall_now());
    bytes.back() = static_cast<std::uint8_t>(bytes.back() ^ 1);
    last = send(bytes, "192.0.2.1:1000");
  }
  EXPECT_NE(last.text.find("too many"), std::string::npos) << last.text;
  EXPECT_EQ(admit(owner, "blog.fed.test.", owner).rcode, Rcode::noerror);
  clock_.advance(std::chrono::seconds(1));
  UpdateBuilder update(kZone);
  update.add("blog.fed.test. 60 IN TXT x");
  EXPECT_EQ(send(by(owner, "blog.fed.test.", update), "192.0.2.1:1000").rcode, Rcode::noerror);
}

}  // namespace
}  // namespace mutua::test
