#include "authority/dnssec/key_store.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/durable_file.h"
#include "support/temporary_folder.h"

namespace mutua::authority {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr WallTime kNow{seconds(1'800'000'000)};
constexpr KeyPlan kSplit{trust::Algorithm::ed25519, KeyLayout::split};

wire::Name zone() { return wire::Name::parse("fed.test").value(); }

class KeyStoreTest : public testing::Test {
 protected:
  KeyStore open() { return KeyStore::open(path(), zone()).value(); }
  static KeyRecord first_key(KeyStore& store) { return store.adopt({}, kNow).value().front(); }
  std::filesystem::path path() const { return folder_.path() / "keys"; }

  test::TemporaryFolder folder_;
};

TEST_F(KeyStoreTest, WhatIsNotedIsThereAgain) {
  KeyStore store = open();
  EXPECT_TRUE(store.empty());
  const KeyRecord first = first_key(store);
  EXPECT_EQ(first.active, kNow);
  const KeyRecord second = store.generate(KeyRole::csk, kNow + hours(1)).value();
  EXPECT_FALSE(second.active);
  EXPECT_EQ(open().records(), store.records());
  EXPECT_EQ(open().on_duty().key_rrsets(zone()), store.on_duty().key_rrsets(zone()));
  struct stat status {};
  ASSERT_EQ(::stat(path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
}

TEST_F(KeyStoreTest, EachSeesWhatTheOthersChanged) {
  KeyStore one = open();
  const KeyRecord first = first_key(one);
  KeyStore other = open();
  EXPECT_FALSE(other.refresh().value());
  ASSERT_TRUE(one.note_ds_seen(first.tag, kNow).ok());
  EXPECT_TRUE(other.refresh().value());
  EXPECT_EQ(other.records(), one.records());
  ASSERT_TRUE(other.generate(KeyRole::csk, kNow).ok());
  // A change is made on what is there then, not on what this one knew.
  EXPECT_FALSE(one.generate(KeyRole::csk, kNow).ok());
}

TEST_F(KeyStoreTest, AlgorithmsAreNotMixed) {
  KeyStore store = open();
  first_key(store);
  const KeyPlan other{trust::Algorithm::ecdsa_p256_sha256, KeyLayout::split};
  const auto successors = store.adopt(other, kNow).value();
  EXPECT_EQ(successors.size(), 2u);
  for (const KeyRecord& made : successors)
    EXPECT_EQ(made.algorithm, static_cast<std::uint8_t>(trust::Algorithm::ed25519));
}

TEST_F(KeyStoreTest, ARoleIsForLife) {
  KeyStore store = open();
  const auto made = store.adopt(kSplit, kNow).value();
  ASSERT_EQ(made.size(), 2u);
  EXPECT_EQ(made[0].role, KeyRole::ksk);
  EXPECT_EQ(made[1].role, KeyRole::zsk);
  EXPECT_TRUE(made[0].active && made[1].active);
  EXPECT_EQ(open().records(), store.records());
  const auto flags = [&](std::uint16_t tag) { return load_u16(open().key(tag)->dnskey().data()); };
  EXPECT_EQ(flags(made[0].tag), 257);
  EXPECT_EQ(flags(made[1].tag), 256);
  EXPECT_TRUE(store.adopt(kSplit, kNow).value().empty());
  EXPECT_FALSE(store.generate(KeyRole::csk, kNow).ok());
  EXPECT_FALSE(store.note_ds_seen(made[1].tag, kNow).ok());
  EXPECT_FALSE(store.retire_now(made[0].tag, kNow).ok());
  // Each goes its own way.
  EXPECT_TRUE(store.generate(KeyRole::zsk, kNow).ok());
  EXPECT_FALSE(store.generate(KeyRole::zsk, kNow).ok());
  EXPECT_TRUE(store.generate(KeyRole::ksk, kNow).ok());
}

TEST_F(KeyStoreTest, TheDutiesAreThoseOfTheRoles) {
  KeyStore store = open();
  const auto made = store.adopt(kSplit, kNow).value();
  const KeySet keys = store.on_duty();
  const auto signer = [&](wire::RRType type) {
    const auto signers = keys.signers_of(type);
    return signers.size() == 1 ? signers.front()->tag() : 0;
  };
  for (const auto type : {wire::RRType::dnskey, wire::RRType::cds, wire::RRType::cdnskey})
    EXPECT_EQ(signer(type), made[0].tag);
  for (const auto type : {wire::RRType::soa, wire::RRType::nsec, wire::RRType::a})
    EXPECT_EQ(signer(type), made[1].tag);
  const auto rrsets = keys.key_rrsets(zone());
  EXPECT_EQ(rrsets[0].rdatas.size(), 2u);
  ASSERT_EQ(rrsets[1].rdatas.size(), 1u);
  EXPECT_EQ(load_u16(rrsets[1].rdatas.front().data()), made[0].tag);
}

TEST_F(KeyStoreTest, OfAHalfChangedLayoutTheRestIsMade) {
  KeyStore store = open();
  const std::uint16_t csk = first_key(store).tag;
  const auto made = store.adopt(kSplit, kNow).value();
  ASSERT_EQ(made.size(), 2u);
  EXPECT_TRUE(store.adopt({}, kNow).value().empty());  // not before the roll-over has ended
  const auto activate = [](std::vector<KeyRecord>& records) -> Result<bool> {
    for (KeyRecord& one : records) one.active = kNow + hours(3);
    return true;
  };
  ASSERT_TRUE(store.change(activate).ok());
  // The KSK became known to others, and the CSK has its duty again.
  ASSERT_TRUE(store.retire_now(made[0].tag, kNow + hours(4)).ok());
  EXPECT_EQ(active_key(store.records(), KeyDuty::parent)->tag, csk);
  EXPECT_EQ(active_key(store.records(), KeyDuty::data)->tag, made[1].tag);
  const auto rest = store.adopt(kSplit, kNow + hours(5)).value();
  ASSERT_EQ(rest.size(), 1u);
  EXPECT_EQ(rest[0].role, KeyRole::ksk);
}

TEST_F(KeyStoreTest, ADsOfAKeyThatIsNotActiveIsNoSignToGoOn) {
  KeyStore store = open();
  first_key(store);
  const KeyRecord next = store.generate(KeyRole::csk, kNow).value();
  EXPECT_FALSE(store.note_ds_seen(next.tag, kNow).ok());
  EXPECT_FALSE(store.note_ds_seen(static_cast<std::uint16_t>(next.tag + 1), kNow).ok());
}

TEST_F(KeyStoreTest, AStoreThatCannotBeTrustedIsRefused) {
  ASSERT_TRUE(open().adopt({}, kNow).ok());
  const std::string good = state_text(zone(), open().records());
  const auto refuses = [&](const std::string& text) {
    EXPECT_TRUE(write_file_durably(path() / "state", as_bytes(text), 0600).ok());
    return !KeyStore::open(path(), zone()).ok();
  };
  EXPECT_TRUE(refuses(""));
  EXPECT_TRUE(refuses("another file\n"));
  EXPECT_TRUE(refuses(good + "key 70000 15 a.pem created=1\n"));
  EXPECT_TRUE(refuses(good + "key 1 15 ../a.pem created=1\n"));
  EXPECT_TRUE(refuses(good + "key 1 15 a.pem created=soon\n"));
  EXPECT_TRUE(refuses(good + "key 1 15 a.pem born=1\n"));
  EXPECT_TRUE(refuses(good + "key 1 15 a.pem role=boss created=1\n"));
  EXPECT_TRUE(refuses(good + "key 1 15 missing.pem created=1\n"));
  EXPECT_FALSE(refuses(good));
  // Of another key.
  const auto pem = path() / open().records().front().file;
  std::filesystem::remove(pem);
  ASSERT_TRUE(trust::PrivateKey::generate(trust::Algorithm::ed25519).value().save(pem).ok());
  EXPECT_FALSE(KeyStore::open(path(), zone()).ok());
}

TEST_F(KeyStoreTest, APrivateKeyThatACrashLeftBehindGoes) {
  KeyStore store = open();
  const KeyRecord old = first_key(store);
  ASSERT_TRUE(store.generate(KeyRole::csk, kNow).ok());
  const Bytes pem = read_file(path() / old.file, 4096).value();
  ASSERT_TRUE(store.retire_now(old.tag, kNow).ok());
  EXPECT_FALSE(std::filesystem::exists(path() / old.file));
  // As if the power had failed between the state and the deletion.
  ASSERT_TRUE(write_file_durably(path() / old.file, pem, 0600).ok());
  open();
  EXPECT_FALSE(std::filesystem::exists(path() / old.file));
}

TEST_F(KeyStoreTest, OnlySoManyRemovedKeysAreRemembered) {
  KeyStore store = open();
  first_key(store);
  for (int i = 0; i < 40; ++i) {
    const std::uint16_t old = active_key(store.records(), KeyDuty::data)->tag;
    ASSERT_TRUE(store.generate(KeyRole::csk, kNow + hours(i)).ok());
    ASSERT_TRUE(store.retire_now(old, kNow + hours(i)).ok());
  }
  EXPECT_EQ(store.records().size(), 17u);
}

}  // namespace
}  // namespace mutua::authority
