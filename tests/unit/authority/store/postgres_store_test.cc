#include "authority/store/postgres_store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <condition_variable>
#include <future>
#include <mutex>
#include <string>

#include "authority/store/postgres_schema.h"
#include "base/unique_fd.h"
#include "support/cutting_proxy.h"
#include "support/postgres_server.h"
#include "wire/rdata.h"

#ifdef __SANITIZE_ADDRESS__
// libpqxx 6.4 loses libpq's result of a statement whose connection breaks, some 2 kB.
extern "C" const char* __lsan_default_suppressions() { return "leak:libpqxx"; }
#endif

namespace mutua::authority {
namespace {

using test::CuttingProxy;
using wire::RRType;

wire::Name name(std::string_view text) { return wire::Name::parse(text).value(); }

RRset soa(std::uint32_t serial) {
  return {RRType::soa,
          300,
          {wire::make_soa({name("ns1.fed.test"), name("root.fed.test"), serial, 1, 2, 3, 4})}};
}

// Adds one name and its lease; the serial goes from `serial` to the next.
Transaction step(std::uint32_t serial) {
  const auto owner = name("n" + std::to_string(serial + 1) + ".fed.test");
  Transaction transaction;
  transaction.changes.push_back(
      {serial,
       serial + 1,
       {{name("fed.test"), RRType::soa, soa(serial), soa(serial + 1)},
        {owner, RRType::a, std::nullopt, RRset{RRType::a, 60, {Bytes{10, 0, 0, 1}}}}}});
  transaction.leases.push_back({owner, owner, {}, std::nullopt, WallTime{}});
  return transaction;
}

Result<std::int64_t> migrate_as(const std::string& address, const std::string& apex = "fed.test") {
  postgres::Session session(TRY(postgres::Address::parse(address)));
  TRY(session.connect());
  return postgres::migrate(session, name(apex), "daemon");
}

class PostgresStoreDatabase : public testing::Test {
 protected:
  void SetUp() override {
    database_ = server_.create_database();
    ASSERT_EQ(migrate_as(server_.address(database_, "owner")).value(), 0);
  }

  std::unique_ptr<PostgresStore> open() {
    return PostgresStore::open(server_.address(database_), name("fed.test")).value();
  }
  std::string error_of_open(const std::string& apex = "fed.test") {
    auto store = PostgresStore::open(server_.address(database_), name(apex));
    return store.ok() ? "" : store.error().message();
  }
  void import(ZoneStore& store) {
    ASSERT_TRUE(import_zone(store, {{name("fed.test"), soa(1)}}).ok());
  }

  test::PostgresServer& server_ = test::postgres_server();
  std::string database_;
};

TEST(PostgresAddress, TellsDatabasesFromPaths) {
  EXPECT_TRUE(postgres::Address::is_meant("postgresql://db1,db2/mutua"));
  EXPECT_TRUE(postgres::Address::is_meant("host=/run/postgresql dbname=mutua"));
  EXPECT_FALSE(postgres::Address::is_meant("/var/lib/mutua/zone.sqlite"));
  EXPECT_FALSE(postgres::Address::is_meant("./a=b.sqlite"));
  EXPECT_FALSE(postgres::Address::is_meant("zone.sqlite"));
}

TEST(PostgresAddress, AddsWhatIsMissingAndTellsNobodyThePassword) {
  const auto address =
      postgres::Address::parse("postgresql://me:s3cret@db1:5433,db2/mutua?connect_timeout=7")
          .value();
  EXPECT_EQ(address.label(), "postgresql://db1,db2/mutua");
  const std::string& words = address.connection_string();
  EXPECT_NE(words.find("target_session_attrs='read-write'"), std::string::npos) << words;
  EXPECT_NE(words.find("connect_timeout='7'"), std::string::npos) << words;
  EXPECT_NE(words.find("s3cret"), std::string::npos);
  EXPECT_FALSE(postgres::Address::parse("postgresql://db1/mutua?no_such_word=1").ok());
}

TEST_F(PostgresStoreDatabase, WithoutASchemaOneIsToldToMigrate) {
  server_.sql(database_, "DROP SCHEMA mutua CASCADE");
  EXPECT_NE(error_of_open().find("mutua-authority migrate"), std::string::npos) << error_of_open();
}

TEST_F(PostgresStoreDatabase, AnOlderSchemaIsBroughtUpToDateWithItsContent) {
  import(*open());
  server_.sql(
      database_,
      "UPDATE mutua.schema_version SET version = 1; ALTER TABLE mutua.zone RESET (fillfactor)");
  EXPECT_NE(error_of_open().find("schema version 1"), std::string::npos) << error_of_open();
  EXPECT_EQ(migrate_as(server_.address(database_, "owner")).value(), 1);
  EXPECT_EQ(open()->serial().value(), 1u);
  EXPECT_EQ(migrate_as(server_.address(database_, "owner")).value(), 2);  // again: nothing happens
  EXPECT_EQ(open()->serial().value(), 1u);
}

TEST_F(PostgresStoreDatabase, ANewerSchemaIsRefused) {
  server_.sql(database_, "UPDATE mutua.schema_version SET version = 99");
  EXPECT_NE(error_of_open().find("schema version 99"), std::string::npos);
  EXPECT_FALSE(migrate_as(server_.address(database_, "owner")).ok());
}

TEST_F(PostgresStoreDatabase, AnotherZonesDatabaseIsRefused) {
  EXPECT_NE(error_of_open("other.test").find("holds the zone fed.test., not other.test."),
            std::string::npos);
  EXPECT_FALSE(migrate_as(server_.address(database_, "owner"), "other.test").ok());
}

TEST_F(PostgresStoreDatabase, TheDaemonsRoleChangesRowsAndNothingElse) {
  import(*open());
  postgres::Session daemon(postgres::Address::parse(server_.address(database_)).value());
  ASSERT_TRUE(daemon.connect().ok());
  for (const char* forbidden :
       {"CREATE TABLE mutua.more (a integer)", "DROP TABLE mutua.journal", "CREATE SCHEMA other",
        "ALTER TABLE mutua.zone ADD more integer", "TRUNCATE mutua.rrset",
        "UPDATE mutua.schema_version SET version = 9", "UPDATE mutua.zone SET apex = ''",
        "DELETE FROM mutua.zone", "UPDATE mutua.journal SET content = ''"}) {
    const auto done = daemon.execute(forbidden);
    ASSERT_FALSE(done.ok()) << forbidden;
    EXPECT_NE(done.error().message().find("ermission denied") +
                  done.error().message().find("must be owner"),
              2 * std::string::npos)
        << done.error().message();
  }
}

TEST_F(PostgresStoreDatabase, ATurnKeepsOthersWaiting) {
  auto one = open(), two = open();
  import(*one);
  ASSERT_TRUE(two->load().ok());
  ASSERT_TRUE(one->take_turn().value()->empty());
  auto turn_of_two = std::async(std::launch::async, [&] { return two->take_turn(); });
  EXPECT_EQ(turn_of_two.wait_for(std::chrono::milliseconds(100)), std::future_status::timeout);
  ASSERT_EQ(one->commit(1, step(1)).value(), CommitOutcome::committed);
  EXPECT_EQ(turn_of_two.get().value()->size(), 1u);
  EXPECT_EQ(two->commit(2, step(2)).value(), CommitOutcome::committed);
  EXPECT_EQ(one->follow().value()->size(), 1u);
}

TEST_F(PostgresStoreDatabase, ATurnThatWasLostIsAConflictWhereSomebodyCameFirst) {
  auto one = open(), two = open();
  import(*one);
  ASSERT_TRUE(two->load().ok());
  ASSERT_TRUE(one->take_turn().value()->empty());
  server_.sql(database_,
              "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = "
              "'daemon' AND state = 'idle in transaction'");
  ASSERT_EQ(two->commit(1, step(1)).value(), CommitOutcome::committed);
  EXPECT_EQ(one->commit(1, step(1)).value(), CommitOutcome::conflict);
  EXPECT_EQ(one->take_turn().value()->size(), 1u);
  EXPECT_EQ(one->commit(2, step(2)).value(), CommitOutcome::committed);
}

TEST_F(PostgresStoreDatabase, OthersAreToldOfACommitAndTheCommitterIsNot) {
  auto one = open(), two = open();
  import(*one);
  std::mutex mutex;
  std::condition_variable told;
  unsigned times_one = 0, times_two = 0;
  const auto count = [&](unsigned& times) {
    return [&] {
      const std::lock_guard lock(mutex);
      ++times;
      told.notify_all();
    };
  };
  one->watch(count(times_one));
  two->watch(count(times_two));
  std::unique_lock lock(mutex);
  ASSERT_TRUE(
      told.wait_for(lock, std::chrono::seconds(20), [&] { return times_one && times_two; }));
  times_one = times_two = 0;
  ASSERT_EQ(one->commit(1, step(1)).value(), CommitOutcome::committed);
  ASSERT_TRUE(told.wait_for(lock, std::chrono::seconds(20), [&] { return times_two > 0; }));
  EXPECT_EQ(times_one, 0u);
  lock.unlock();
  one->watch({});
  two->watch({});
}

// The client's connection breaks around its COMMIT. It must be acknowledged once, and stand once.
class CutCommit : public PostgresStoreDatabase,
                  public testing::WithParamInterface<CuttingProxy::Cut> {};
INSTANTIATE_TEST_SUITE_P(Both, CutCommit,
                         testing::Values(CuttingProxy::Cut::before, CuttingProxy::Cut::after));

TEST_P(CutCommit, IsAcknowledgedAndStandsOnce) {
  import(*open());
  CuttingProxy proxy(server_.socket_path());
  auto store = PostgresStore::open("host=127.0.0.1 user=daemon dbname=" + database_ +
                                       " port=" + std::to_string(proxy.port()) +
                                       " sslmode=disable gssencmode=disable",
                                   name("fed.test"))
                   .value();
  ASSERT_TRUE(store->load().ok());
  auto other = open();
  ASSERT_TRUE(other->load().ok());
  for (std::uint32_t serial = 1; serial <= 6; ++serial) {
    if (serial % 2 == 0) {
      ASSERT_TRUE(store->take_turn().value()->empty());
    }
    proxy.cut(GetParam(), "COMMIT");
    const auto outcome = store->commit(serial, step(serial));
    ASSERT_TRUE(outcome.ok()) << outcome.error().message();
    EXPECT_EQ(*outcome, CommitOutcome::committed);
    EXPECT_EQ(proxy.cuts(), serial);
    EXPECT_TRUE(store->follow().value()->empty());  // its own is no news, found again or not
    EXPECT_EQ(other->follow().value()->size(), 1u);
  }
  EXPECT_EQ(other->serial().value(), 7u);
  EXPECT_EQ(other->recent_changes().value().size(), 6u);
}

TEST_F(PostgresStoreDatabase, ACommitThatWasCutOffIsFoundAlsoWhereOthersWentOnFromIt) {
  import(*open());
  CuttingProxy proxy(server_.socket_path());
  auto store = PostgresStore::open("host=127.0.0.1 user=daemon dbname=" + database_ +
                                       " port=" + std::to_string(proxy.port()) + " sslmode=disable",
                                   name("fed.test"))
                   .value();
  ASSERT_TRUE(store->load().ok());
  auto other = open();
  ASSERT_TRUE(other->load().ok());
  // A commit of the other's lands between the attempt whose answer is lost and the next one.
  auto faster = std::async(std::launch::async, [&] {
    while (other->take_turn().value()->empty()) other->end_turn();
    return other->commit(2, step(2));
  });
  proxy.cut(CuttingProxy::Cut::after, "COMMIT");
  EXPECT_EQ(store->commit(1, step(1)).value(), CommitOutcome::committed);
  EXPECT_EQ(faster.get().value(), CommitOutcome::committed);
  EXPECT_EQ(store->take_turn().value()->size(), 1u);
  store->end_turn();
  EXPECT_EQ(store->serial().value(), 3u);
}

TEST_F(PostgresStoreDatabase, AServerThatCrashedIsComeBackTo) {
  auto store = open();
  import(*store);
  ASSERT_TRUE(store->take_turn().value()->empty());
  server_.stop(SIGQUIT);
  EXPECT_FALSE(store->follow().ok());
  EXPECT_FALSE(store->take_turn().ok());
  store->end_turn();
  server_.start();
  // Within its patience, and without an error in between.
  EXPECT_EQ(store->commit(1, step(1)).value(), CommitOutcome::committed);
  EXPECT_TRUE(store->follow().value()->empty());
}

// Commits serial after serial and tells each one that was acknowledged.
[[noreturn]] void commit_until_killed(const std::string& address, int told) {
  auto store = PostgresStore::open(address, name("fed.test")).value();
  (void)store->load().value();
  for (std::uint32_t serial = store->serial().value().value();; ++serial) {
    const auto outcome = store->commit(serial, step(serial));
    if (!outcome.ok() || *outcome != CommitOutcome::committed) ::_exit(1);
    const std::uint32_t acknowledged = serial + 1;
    if (::write(told, &acknowledged, sizeof acknowledged) != sizeof acknowledged) ::_exit(2);
  }
}

TEST_F(PostgresStoreDatabase, NothingAcknowledgedIsLostByKill9OfEitherSide) {
  import(*open());
  for (int round = 0; round < 6; ++round) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe(ends.data()), 0);
    const UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    const pid_t child = ::fork();
    if (child == 0) commit_until_killed(server_.address(database_), writer.get());
    writer.reset();
    std::uint32_t serial = 0;
    for (int i = 0; i < 5 + round * 7; ++i) {
      ASSERT_EQ(::read(reader.get(), &serial, sizeof serial), ssize_t{sizeof serial});
    }
    if (round % 2 == 1) server_.stop(SIGQUIT);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    if (round % 2 == 1) server_.start();
    while (::read(reader.get(), &serial, sizeof serial) == ssize_t{sizeof serial}) {
    }
    auto store = open();
    const StoredZone zone = store->load().value();
    const std::uint32_t stored = store->serial().value().value();
    EXPECT_GE(stored, serial);
    EXPECT_LE(stored, serial + 1);
    EXPECT_EQ(zone.rrsets.size(), stored);  // one SOA, and one address for each serial after 1
    EXPECT_EQ(zone.leases.size(), stored - 1);
  }
}

}  // namespace
}  // namespace mutua::authority
