// One contract, run over every store.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>

#include "authority/store/memory_store.h"
#include "authority/store/postgres_schema.h"
#include "authority/store/postgres_store.h"
#include "authority/store/sqlite_store.h"
#include "support/postgres_server.h"
#include "wire/rdata.h"

namespace mutua::authority {
namespace {

using wire::RRType;

wire::Name name(std::string_view text) { return wire::Name::parse(text).value(); }
Bytes soa(std::uint32_t serial) {
  return wire::make_soa({name("ns1.fed.test"), name("root.fed.test"), serial, 1, 2, 3, 4});
}
RRset soa_rrset(std::uint32_t serial) { return {RRType::soa, 300, {soa(serial)}}; }
RRset address(std::uint8_t last) { return {RRType::a, 60, {Bytes{192, 0, 2, last}}}; }
trust::Digest digest(std::string_view text) { return trust::sha256(as_bytes(text)); }
WallTime at(std::int64_t seconds) { return WallTime(std::chrono::seconds(seconds)); }

struct Memory {
  MemoryStore store{3};
  MemoryStore other_store = store.another();
  ZoneStore& get() { return store; }
  ZoneStore& other() { return other_store; }
};

struct Sqlite {
  Sqlite() {
    std::string pattern = std::filesystem::temp_directory_path() / "mutua-store-XXXXXX";
    folder = ::mkdtemp(pattern.data());
    reopen();
  }
  ~Sqlite() {
    store.reset();
    std::filesystem::remove_all(folder);
  }
  void reopen() {
    store.reset();
    store = SqliteStore::open(folder / "zone.sqlite", name("fed.test"), 3).value();
  }
  ZoneStore& get() { return *store; }

  std::filesystem::path folder;
  std::unique_ptr<SqliteStore> store;
};

struct Postgres {
  Postgres() {
    test::PostgresServer& server = test::postgres_server();
    const std::string database = server.create_database();
    const std::string owners = server.address(database, "owner");
    postgres::Session owner(postgres::Address::parse(owners).value());
    owner.connect().value();
    migrate(owner, name("fed.test"), "daemon").value();
    store = PostgresStore::open(server.address(database), name("fed.test"), 3).value();
    other_store = PostgresStore::open(server.address(database), name("fed.test"), 3).value();
  }
  ZoneStore& get() { return *store; }
  ZoneStore& other() { return *other_store; }

  std::unique_ptr<PostgresStore> store, other_store;
};

template <typename Kind>
class ZoneStoreContract : public testing::Test {
 protected:
  ZoneStore& store() { return kind_.get(); }
  void import() {
    ASSERT_TRUE(import_zone(store(), {{name("fed.test"), soa_rrset(1)},
                                      {name("MiXed.fed.test"), address(1)}})
                    .ok());
  }
  // Replaces the address at mixed.fed.test, raising the serial from `from`.
  static ChangeSet change(std::uint32_t from, std::uint8_t before, std::uint8_t after) {
    return {from,
            from + 1,
            {{name("fed.test"), RRType::soa, soa_rrset(from), soa_rrset(from + 1)},
             {name("mixed.fed.test"), RRType::a, address(before), address(after)}}};
  }
  std::optional<RRset> find(const StoredZone& zone, std::string_view owner, RRType type) {
    for (const OwnedRRset& owned : zone.rrsets) {
      if (owned.owner == name(owner) && owned.rrset.type == type) return owned.rrset;
    }
    return std::nullopt;
  }
  Kind kind_;
};

using Kinds = testing::Types<Memory, Sqlite, Postgres>;
TYPED_TEST_SUITE(ZoneStoreContract, Kinds);

TYPED_TEST(ZoneStoreContract, IsEmptyUntilAZoneIsImported) {
  EXPECT_EQ(this->store().serial().value(), std::nullopt);
  EXPECT_TRUE(this->store().load().value().rrsets.empty());
  this->import();
  EXPECT_EQ(this->store().serial().value(), 1u);
  const StoredZone zone = this->store().load().value();
  EXPECT_EQ(zone.rrsets.size(), 2u);
  EXPECT_EQ(this->find(zone, "fed.test", RRType::soa), soa_rrset(1));
}

TYPED_TEST(ZoneStoreContract, ImportIntoAFullStoreFails) {
  this->import();
  EXPECT_FALSE(import_zone(this->store(), {{name("fed.test"), soa_rrset(9)}}).ok());
  EXPECT_EQ(this->store().serial().value(), 1u);
}

TYPED_TEST(ZoneStoreContract, ImportWithoutSoaFails) {
  EXPECT_FALSE(import_zone(this->store(), {{name("a.fed.test"), address(1)}}).ok());
  EXPECT_EQ(this->store().serial().value(), std::nullopt);
}

TYPED_TEST(ZoneStoreContract, NamesAreTheSameInAnyLetterCaseAndKeepTheirLetters) {
  this->import();
  Transaction transaction;
  transaction.changes.push_back(this->change(1, 1, 2));
  ASSERT_EQ(this->store().commit(1, transaction).value(), CommitOutcome::committed);
  const StoredZone zone = this->store().load().value();
  EXPECT_EQ(zone.rrsets.size(), 2u);
  EXPECT_EQ(this->find(zone, "mixed.fed.test", RRType::a), address(2));
}

TYPED_TEST(ZoneStoreContract, AConflictChangesNothing) {
  this->import();
  Transaction transaction;
  transaction.changes.push_back(this->change(7, 1, 2));
  EXPECT_EQ(this->store().commit(7, transaction).value(), CommitOutcome::conflict);
  EXPECT_EQ(this->find(this->store().load().value(), "mixed.fed.test", RRType::a), address(1));
  EXPECT_EQ(this->store().commit(std::nullopt, {}).value(), CommitOutcome::conflict);
}

TYPED_TEST(ZoneStoreContract, ChangeSetsThatDoNotFollowOneAnotherChangeNothing) {
  this->import();
  Transaction transaction;
  transaction.changes.push_back(this->change(1, 1, 2));
  transaction.changes.push_back(this->change(5, 2, 3));
  EXPECT_FALSE(this->store().commit(1, transaction).ok());
  EXPECT_EQ(this->store().serial().value(), 1u);
  EXPECT_EQ(this->find(this->store().load().value(), "mixed.fed.test", RRType::a), address(1));
}

TYPED_TEST(ZoneStoreContract, DeletesAnRRset) {
  this->import();
  Transaction transaction;
  transaction.changes.push_back(this->change(1, 1, 2));
  transaction.changes[0].changes[1].after.reset();
  ASSERT_EQ(this->store().commit(1, transaction).value(), CommitOutcome::committed);
  EXPECT_EQ(this->find(this->store().load().value(), "mixed.fed.test", RRType::a), std::nullopt);
}

TYPED_TEST(ZoneStoreContract, TheJournalKeepsTheLastChanges) {
  this->import();
  for (std::uint8_t i = 1; i <= 5; ++i) {
    Transaction transaction;
    transaction.changes.push_back(this->change(i, i, static_cast<std::uint8_t>(i + 1)));
    ASSERT_EQ(this->store().commit(i, transaction).value(), CommitOutcome::committed);
  }
  const auto recent = this->store().recent_changes().value();
  ASSERT_EQ(recent.size(), 3u);
  EXPECT_EQ(recent.front().from, 3u);
  EXPECT_EQ(recent.back().from, 5u);
  EXPECT_EQ(recent.back().to, 6u);
  EXPECT_EQ(recent.back().changes[1].before, address(5));
  EXPECT_EQ(recent.back().changes[1].after, address(6));
}

TYPED_TEST(ZoneStoreContract, OnesOwnCommitsAreNoNews) {
  this->import();
  Transaction transaction;
  transaction.changes.push_back(this->change(1, 1, 2));
  ASSERT_TRUE(this->store().take_turn().value()->empty());
  ASSERT_EQ(this->store().commit(1, transaction).value(), CommitOutcome::committed);
  EXPECT_TRUE(this->store().follow().value()->empty());
  EXPECT_TRUE(this->store().take_turn().value()->empty());
  this->store().end_turn();
  this->store().end_turn();
  EXPECT_TRUE(this->store().follow().value()->empty());
}

TYPED_TEST(ZoneStoreContract, RowsComeAndGoWithoutASerial) {
  this->import();
  const LeaseRow host{name("P.peers.fed.test"), name("p.peers.fed.test"), digest("k"), at(100),
                      at(900)};
  LeaseRow instance{name("i.fed.test"), host.owner, digest("k"), std::nullopt, at(901)};
  const ReplayRow replay{digest("k"), digest("f"), 12345, at(200)};
  Transaction transaction;
  transaction.leases = {host, instance};
  transaction.replays = {replay};
  ASSERT_EQ(this->store().commit(1, transaction).value(), CommitOutcome::committed);
  StoredZone zone = this->store().load().value();
  EXPECT_EQ(this->store().serial().value(), 1u);
  ASSERT_EQ(zone.leases.size(), 2u);
  EXPECT_TRUE(std::ranges::find(zone.leases, host) != zone.leases.end());
  EXPECT_TRUE(std::ranges::find(zone.leases, instance) != zone.leases.end());
  EXPECT_EQ(zone.replays, std::vector<ReplayRow>{replay});

  Transaction next;
  next.removed_leases = {name("p.PEERS.fed.test")};
  instance.expiry = at(555);
  next.leases = {instance};
  next.removed_replays = {replay};
  ASSERT_EQ(this->store().commit(1, next).value(), CommitOutcome::committed);
  zone = this->store().load().value();
  EXPECT_EQ(zone.leases, std::vector<LeaseRow>{instance});
  EXPECT_TRUE(zone.replays.empty());
}

// Stores that several authorities share.
template <typename Kind>
class SharedStoreContract : public ZoneStoreContract<Kind> {
 protected:
  ZoneStore& other() { return this->kind_.other(); }
  void import_and_load_both() {
    this->import();
    ASSERT_EQ(other().load().value().rrsets.size(), 2u);
  }
  static Transaction step(std::uint8_t from) {
    Transaction transaction;
    transaction.changes.push_back(
        ZoneStoreContract<Kind>::change(from, from, static_cast<std::uint8_t>(from + 1)));
    return transaction;
  }
};

using SharedKinds = testing::Types<Memory, Postgres>;
TYPED_TEST_SUITE(SharedStoreContract, SharedKinds);

TYPED_TEST(SharedStoreContract, TheOtherIsToldOfEveryTransactionOnceAndInOrder) {
  this->import_and_load_both();
  EXPECT_TRUE(this->other().follow().value()->empty());
  Transaction rows;
  rows.leases = {{name("p.fed.test"), name("p.fed.test"), digest("k"), at(100), at(900)}};
  rows.replays = {{digest("k"), digest("f"), 12345, at(200)}};
  ASSERT_EQ(this->store().commit(1, this->step(1)).value(), CommitOutcome::committed);
  ASSERT_EQ(this->store().commit(2, rows).value(), CommitOutcome::committed);
  ASSERT_EQ(this->store().commit(2, this->step(2)).value(), CommitOutcome::committed);

  const News news = this->other().follow().value();
  ASSERT_TRUE(news.has_value());
  ASSERT_EQ(news->size(), 3u);
  EXPECT_EQ((*news)[0].changes.at(0).to, 2u);
  EXPECT_EQ((*news)[1].leases, rows.leases);
  EXPECT_EQ((*news)[1].replays, rows.replays);
  EXPECT_EQ((*news)[2].changes.at(0).changes.at(1).after, address(3));
  EXPECT_TRUE(this->other().follow().value()->empty());
  EXPECT_TRUE(this->store().follow().value()->empty());
}

TYPED_TEST(SharedStoreContract, WhoHasNotReadEverythingCannotCommit) {
  this->import_and_load_both();
  Transaction refresh;
  refresh.leases = {{name("p.fed.test"), name("p.fed.test"), digest("k"), at(100), at(900)}};
  ASSERT_EQ(this->store().commit(1, refresh).value(), CommitOutcome::committed);
  // The serial is the same: it is the sequence of transactions that counts.
  EXPECT_EQ(this->other().commit(1, this->step(1)).value(), CommitOutcome::conflict);
  EXPECT_EQ(this->other().follow().value()->size(), 1u);
  EXPECT_EQ(this->other().commit(1, this->step(1)).value(), CommitOutcome::committed);
}

TYPED_TEST(SharedStoreContract, ATurnBringsTheNewsAndItsCommitFollowsThem) {
  this->import_and_load_both();
  ASSERT_EQ(this->store().commit(1, this->step(1)).value(), CommitOutcome::committed);
  EXPECT_EQ(this->other().take_turn().value()->size(), 1u);
  EXPECT_EQ(this->other().commit(2, this->step(2)).value(), CommitOutcome::committed);
  EXPECT_EQ(this->store().take_turn().value()->size(), 1u);
  this->store().end_turn();
  EXPECT_EQ(this->other().take_turn().value()->size(), 0u);
  this->other().end_turn();
}

TYPED_TEST(SharedStoreContract, WhoFellBehindTheJournalMustLoad) {
  this->import_and_load_both();
  for (std::uint8_t i = 1; i <= 4; ++i)
    ASSERT_EQ(this->store().commit(i, this->step(i)).value(), CommitOutcome::committed);
  EXPECT_FALSE(this->other().follow().value().has_value());
  EXPECT_FALSE(this->other().take_turn().value().has_value());
  EXPECT_EQ(this->find(this->other().load().value(), "mixed.fed.test", RRType::a), address(5));
  EXPECT_TRUE(this->other().follow().value()->empty());
  EXPECT_EQ(this->other().commit(5, this->step(5)).value(), CommitOutcome::committed);
}

}  // namespace
}  // namespace mutua::authority
