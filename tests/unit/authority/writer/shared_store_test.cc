// Two authorities on one store.
#include <algorithm>
#include <list>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "authority/writer/writer.h"
#include "support/temporary_folder.h"
#include "support/writer_fixture.h"
#include "wire/rdata.h"

namespace mutua::test {
namespace {

using wire::Rcode;
using wire::RRType;

class SharedStore : public WriterTest {
 protected:
  void SetUp() override {
    WriterTest::SetUp();
    writer_ = start(store_);
    other_ = start(other_store_);
  }
  void TearDown() override {
    other_.reset();
    writer_.reset();  // before its keys
    WriterTest::TearDown();
  }

  std::unique_ptr<authority::Writer> start(authority::ZoneStore& store) {
    authority::WriterConfig config;
    config.tsig_keys.push_back({name("operator"), "hmac-sha256", kSecret});
    config.federation = federation_;
    config.keys = &keepers_.emplace_back(
        authority::KeyKeeper::create(folder_.path() / "keys", name(kZone), {}, {}, clock_).value());
    return authority::Writer::create(store, std::move(config), clock_).value();
  }

  // Runs `action` with the other authority in the place of the first.
  template <typename Action>
  auto at_other(Action action) {
    std::swap(writer_, other_);
    auto result = action();
    std::swap(writer_, other_);
    return result;
  }
  Answer add(const std::string& record) {
    UpdateBuilder update(kZone);
    update.edns().add(record);
    return operate(update);
  }

  static std::vector<std::string> lines(const authority::ZoneVersion& version) {
    std::vector<std::string> out;
    version.for_each([&](const wire::Name& owner, const authority::RRsetView& view) {
      const authority::RRset rrset = view.copy();
      for (const Bytes& rdata : rrset.rdatas)
        out.push_back(owner.to_text() + " " + std::to_string(rrset.ttl) + " " +
                      to_text(rrset.type) + " " + wire::rdata_to_text(rrset.type, rdata));
    });
    std::sort(out.begin(), out.end());
    return out;
  }
  void expect_both_hold_the_same() {
    writer_->process_now();
    other_->process_now();
    const auto one = writer_->catalog().current(), two = other_->catalog().current();
    EXPECT_EQ(one->serial(), two->serial());
    EXPECT_EQ(lines(*one), lines(*two));
  }

  authority::MemoryStore other_store_ = store_.another();
  TemporaryFolder folder_;
  std::list<authority::KeyKeeper> keepers_;  // each writer's, on the same folder
  std::unique_ptr<authority::Writer> other_;
};

TEST_F(SharedStore, WhatOneTakesTheOtherServesWithTheSameSignatures) {
  ASSERT_EQ(add("a.fed.test. 60 IN A 192.0.2.1").rcode, Rcode::noerror);
  expect_both_hold_the_same();
  ASSERT_EQ(at_other([&] { return add("b.fed.test. 60 IN A 192.0.2.2"); }).rcode, Rcode::noerror);
  ASSERT_EQ(add("c.fed.test. 60 IN A 192.0.2.3").rcode, Rcode::noerror);
  expect_both_hold_the_same();
  EXPECT_EQ(rdatas("b.fed.test.", RRType::a).size(), 1u);
  EXPECT_TRUE(zone()->is_signed());
}

TEST_F(SharedStore, TheFederationsListsFollowWhicheverAuthorityIsTold) {
  const Party owner, peer;
  trust_base();
  ASSERT_EQ(at_other([&] { return claim(owner, "blog.fed.test."); }).rcode, Rcode::noerror);
  ASSERT_EQ(commit(peer, "blog.fed.test.").rcode, Rcode::noerror);
  ASSERT_EQ(at_other([&] { return admit(owner, "blog.fed.test.", peer); }).rcode, Rcode::noerror);
  expect_both_hold_the_same();
  EXPECT_EQ(served("blog.fed.test.").size(), 1u);
  ASSERT_EQ(deny(owner, "blog.fed.test.", peer).rcode, Rcode::noerror);
  expect_both_hold_the_same();
  EXPECT_TRUE(at_other([&] { return served("blog.fed.test."); }).empty());
}

TEST_F(SharedStore, ALeaseThatTheOtherRefreshedDoesNotLapse) {
  const Party owner, peer;
  trust_base();
  ASSERT_EQ(claim(owner, "blog.fed.test.", "admission=open").rcode, Rcode::noerror);
  ASSERT_EQ(commit(peer, "blog.fed.test.").rcode, Rcode::noerror);
  other_->process_now();
  clock_.advance(std::chrono::seconds(50));
  ASSERT_EQ(at_other([&] { return commit(peer, "blog.fed.test."); }).rcode, Rcode::noerror);
  clock_.advance(std::chrono::seconds(20));
  writer_->process_now();  // by what it knows itself, the lease has lapsed
  EXPECT_EQ(served("blog.fed.test.").size(), 1u);
  clock_.advance(std::chrono::seconds(50));
  const auto serial = zone()->serial();
  writer_->process_now();
  other_->process_now();
  EXPECT_TRUE(served("blog.fed.test.").empty());
  EXPECT_EQ(zone()->serial(), serial + 1);  // it lapsed once
  expect_both_hold_the_same();
}

TEST_F(SharedStore, ARequestThatOneHasExecutedIsAReplayForTheOther) {
  const Party owner;
  UpdateBuilder update(kZone);
  update.add_key("blog.fed.test.", owner.key.public_key());
  const Bytes packet = by(owner, "blog.fed.test.", update);
  ASSERT_EQ(send(packet).rcode, Rcode::noerror);
  const Answer replay = at_other([&] { return send(packet); });
  EXPECT_EQ(replay.rcode, Rcode::refused);
  EXPECT_NE(replay.text.find("executed before"), std::string::npos) << replay.text;

  UpdateBuilder by_secret(kZone);
  by_secret.add("a.fed.test. 60 IN A 192.0.2.1");
  const Bytes signed_by_secret = by_operator(by_secret);
  ASSERT_EQ(at_other([&] { return send(signed_by_secret); }).rcode, Rcode::noerror);
  EXPECT_EQ(send(signed_by_secret).rcode, Rcode::refused);
  clock_.advance(std::chrono::seconds(2000));  // both forget
  EXPECT_EQ(add("b.fed.test. 60 IN A 192.0.2.1").rcode, Rcode::noerror);
  expect_both_hold_the_same();
}

TEST_F(SharedStore, PrerequisitesAreJudgedAnewWhereTheOtherWasFaster) {
  UpdateBuilder first_claim(kZone);
  first_claim.prerequisite({name("a.fed.test."), RRType::any, wire::RRClass::none, 0, {}});
  first_claim.add("a.fed.test. 60 IN A 192.0.2.1");
  store_.before_commit([&] {
    ASSERT_EQ(at_other([&] { return add("a.fed.test. 60 IN A 192.0.2.9"); }).rcode, Rcode::noerror);
  });
  EXPECT_EQ(operate(first_claim).rcode, Rcode::yxdomain);
  EXPECT_EQ(rdatas("a.fed.test.", RRType::a), std::vector<std::string>{"192.0.2.9"});
  expect_both_hold_the_same();
}

TEST_F(SharedStore, WhoMayWriteIsJudgedAnewWhereTheOtherWasFaster) {
  const Party first, second;
  UpdateBuilder claim_of_first(kZone);
  claim_of_first.add_key("blog.fed.test.", first.key.public_key());
  store_.before_commit([&] {
    ASSERT_EQ(at_other([&] { return claim(second, "blog.fed.test."); }).rcode, Rcode::noerror);
  });
  EXPECT_EQ(send(by(first, "blog.fed.test.", claim_of_first)).rcode, Rcode::refused);
  expect_both_hold_the_same();
  EXPECT_EQ(rdatas("blog.fed.test.", RRType::key).size(), 1u);
}

TEST_F(SharedStore, WhileTheStoreIsAwayUpdatesFailAndAnswersGoOn) {
  store_.fail_turns(1);
  EXPECT_EQ(add("a.fed.test. 60 IN A 192.0.2.1").rcode, Rcode::servfail);
  EXPECT_EQ(rdatas("ns1.fed.test.", RRType::a).size(), 1u);
  ASSERT_EQ(at_other([&] { return add("b.fed.test. 60 IN A 192.0.2.2"); }).rcode, Rcode::noerror);
  EXPECT_EQ(add("a.fed.test. 60 IN A 192.0.2.1").rcode, Rcode::noerror);
  expect_both_hold_the_same();
}

TEST_F(SharedStore, WhoFellFarBehindLoadsTheZoneAnew) {
  authority::MemoryStore small(2);
  ASSERT_TRUE(authority::import_zone(small, small_zone()).ok());
  authority::MemoryStore small_too = small.another();
  writer_ = start(small);
  other_ = start(small_too);
  for (int i = 0; i < 8; ++i) {
    const std::string owner = "n" + std::to_string(i) + ".fed.test.";
    ASSERT_EQ(add(owner + " 60 IN A 192.0.2.1").rcode, Rcode::noerror);
  }
  other_->process_now();  // learns that it must load
  expect_both_hold_the_same();
  writer_.reset();
  other_.reset();
}

TEST_F(SharedStore, TheOthersChangesReachSecondariesToo) {
  const auto from = zone()->serial();
  ASSERT_EQ(at_other([&] { return add("a.fed.test. 60 IN A 192.0.2.1"); }).rcode, Rcode::noerror);
  writer_->process_now();
  const auto path = writer_->history().path(from, zone()->serial());
  ASSERT_TRUE(path.has_value());
  EXPECT_EQ(path->size(), 1u);
}

TEST_F(SharedStore, SignaturesThatTheOtherMadeAreRenewedByWhoeverIsLeft) {
  ASSERT_EQ(at_other([&] { return add("a.fed.test. 60 IN A 192.0.2.1"); }).rcode, Rcode::noerror);
  writer_->process_now();
  const auto before = rdatas("a.fed.test.", RRType::rrsig);
  other_.reset();
  clock_.advance(std::chrono::hours(8 * 24));
  writer_->process_now();
  const auto after = rdatas("a.fed.test.", RRType::rrsig);
  EXPECT_EQ(after.size(), before.size());
  for (const std::string& signature : before)
    EXPECT_EQ(std::ranges::count(after, signature), 0) << signature;
}

TEST_F(SharedStore, AStoreThatWentBackIsPassedByALaterSerial) {
  const auto with_last = add("a.fed.test. 60 IN A 192.0.2.1");
  ASSERT_EQ(with_last.rcode, Rcode::noerror);
  const auto published = zone()->serial();
  // As after the loss of what only a dead database had: an older state, which goes on elsewhere.
  authority::MemoryStore older;
  ASSERT_TRUE(authority::import_zone(older, small_zone()).ok());
  store_ = older.another();
  writer_->process_now();  // finds that it must load
  writer_->process_now();
  EXPECT_TRUE(wire::serial_after(zone()->serial(), published));
  EXPECT_TRUE(rdatas("a.fed.test.", RRType::a).empty());
  other_.reset();
  writer_.reset();
}

TEST_F(SharedStore, BothFollowARollOverAndNeitherUndoesIt) {
  const auto tags = [&](const authority::Writer& writer) {
    std::set<std::uint16_t> found;
    const auto version = const_cast<authority::Writer&>(writer).catalog().current();
    const auto found_rrset = version->find(name(kZone), RRType::dnskey);
    for (const Bytes& rdata : found_rrset->rdatas) found.insert(wire::key_tag(rdata));
    return found;
  };
  EXPECT_EQ(tags(*writer_).size(), 1u);
  auto store = authority::KeyStore::open(folder_.path() / "keys", name(kZone)).value();
  ASSERT_TRUE(store.generate(authority::KeyRole::csk, clock_.wall_now()).ok());
  for (int i = 0; i < 6 * 5; ++i) {
    clock_.advance(std::chrono::minutes(10));
    ASSERT_EQ(add("a" + std::to_string(i) + ".fed.test. 60 IN A 192.0.2.1").rcode, Rcode::noerror);
    const auto answer =
        at_other([&] { return add("b" + std::to_string(i) + ".fed.test. 60 IN A 192.0.2.1"); });
    ASSERT_EQ(answer.rcode, Rcode::noerror);
    expect_both_hold_the_same();
    EXPECT_EQ(tags(*writer_).size(), 2u);
  }
  EXPECT_TRUE(authority::KeyStore::open(folder_.path() / "keys", name(kZone))
                  .value()
                  .records()
                  .back()
                  .active);
}

}  // namespace
}  // namespace mutua::test
