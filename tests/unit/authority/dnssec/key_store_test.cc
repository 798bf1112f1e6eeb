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

wire::Name zone() { return wire::Name::parse("fed.test").value(); }

class KeyStoreTest : public testing::Test {
 protected:
  KeyStore open() { return KeyStore::open(path(), zone()).value(); }
  std::filesystem::path path() const { return folder_.path() / "keys"; }

  test::TemporaryFolder folder_;
};

TEST_F(KeyStoreTest, WhatIsNotedIsThereAgain) {
  KeyStore store = open();
  EXPECT_TRUE(store.empty());
  const KeyRecord first = store.generate(trust::Algorithm::ed25519, kNow).value();
  EXPECT_EQ(first.active, kNow);
  const KeyRecord second = store.generate(trust::Algorithm::ed25519, kNow + hours(1)).value();
  EXPECT_FALSE(second.active);
  EXPECT_EQ(open().records(), store.records());
  EXPECT_EQ(open().on_duty().key_rrsets(zone()), store.on_duty().key_rrsets(zone()));
  struct stat status {};
  ASSERT_EQ(::stat(path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
}

TEST_F(KeyStoreTest, EachSeesWhatTheOthersChanged) {
  KeyStore one = open();
  const KeyRecord first = one.generate(trust::Algorithm::ed25519, kNow).value();
  KeyStore other = open();
  EXPECT_FALSE(other.refresh().value());
  ASSERT_TRUE(one.note_ds_seen(first.tag, kNow).ok());
  EXPECT_TRUE(other.refresh().value());
  EXPECT_EQ(other.records(), one.records());
  ASSERT_TRUE(other.generate(trust::Algorithm::ed25519, kNow).ok());
  // A change is made on what is there then, not on what this one knew.
  EXPECT_FALSE(one.generate(trust::Algorithm::ed25519, kNow).ok());
}

TEST_F(KeyStoreTest, AlgorithmsAreNotMixed) {
  KeyStore store = open();
  ASSERT_TRUE(store.generate(trust::Algorithm::ed25519, kNow).ok());
  EXPECT_FALSE(store.generate(trust::Algorithm::ecdsa_p256_sha256, kNow).ok());
}

TEST_F(KeyStoreTest, ADsOfAKeyThatIsNotActiveIsNoSignToGoOn) {
  KeyStore store = open();
  ASSERT_TRUE(store.generate(trust::Algorithm::ed25519, kNow).ok());
  const KeyRecord next = store.generate(trust::Algorithm::ed25519, kNow).value();
  EXPECT_FALSE(store.note_ds_seen(next.tag, kNow).ok());
  EXPECT_FALSE(store.note_ds_seen(static_cast<std::uint16_t>(next.tag + 1), kNow).ok());
}

TEST_F(KeyStoreTest, AStoreThatCannotBeTrustedIsRefused) {
  open().generate(trust::Algorithm::ed25519, kNow).value();
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
  const KeyRecord old = store.generate(trust::Algorithm::ed25519, kNow).value();
  ASSERT_TRUE(store.generate(trust::Algorithm::ed25519, kNow).ok());
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
  ASSERT_TRUE(store.generate(trust::Algorithm::ed25519, kNow).ok());
  for (int i = 0; i < 40; ++i) {
    const std::uint16_t old = active_key(store.records())->tag;
    ASSERT_TRUE(store.generate(trust::Algorithm::ed25519, kNow + hours(i)).ok());
    ASSERT_TRUE(store.retire_now(old, kNow + hours(i)).ok());
  }
  EXPECT_EQ(store.records().size(), 17u);
}

}  // namespace
}  // namespace mutua::authority
