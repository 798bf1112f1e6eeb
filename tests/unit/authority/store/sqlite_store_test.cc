#include "authority/store/sqlite_store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/durable_file.h"
#include "base/unique_fd.h"
#include "wire/rdata.h"

namespace mutua::authority {
namespace {

using wire::RRType;

wire::Name name(std::string_view text) { return wire::Name::parse(text).value(); }

RRset soa(std::uint32_t serial) {
  return {RRType::soa,
          300,
          {wire::make_soa({name("ns1.fed.test"), name("root.fed.test"), serial, 1, 2, 3, 4})}};
}

class SqliteStoreFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "mutua-sqlite-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    path_ = folder_ / "zone.sqlite";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string error_of_open(const std::string& apex = "fed.test") {
    auto store = SqliteStore::open(path_, name(apex));
    return store.ok() ? "" : store.error().message();
  }
  void execute(const char* sql) {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, sql, nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(database);
  }

  std::filesystem::path folder_, path_;
};

TEST_F(SqliteStoreFile, AFileThatIsNoDatabaseIsRefusedByName) {
  std::ofstream(path_) << std::string(4096, 'x');
  const std::string error = error_of_open();
  EXPECT_NE(error.find(path_.string()), std::string::npos) << error;
  EXPECT_NE(error.find("not a database"), std::string::npos) << error;
}

TEST_F(SqliteStoreFile, AnotherProgramsDatabaseIsRefusedUntouched) {
  execute("CREATE TABLE bookmarks (url TEXT)");
  const Bytes before = read_file(path_, 1 << 20).value();
  EXPECT_NE(error_of_open().find("belongs to another program"), std::string::npos);
  EXPECT_EQ(read_file(path_, 1 << 20).value(), before);
}

TEST_F(SqliteStoreFile, AnotherZonesDatabaseIsRefused) {
  ASSERT_EQ(error_of_open("fed.test"), "");
  EXPECT_NE(error_of_open("other.test").find("holds the zone fed.test., not other.test."),
            std::string::npos);
}

TEST_F(SqliteStoreFile, ANewerSchemaIsRefused) {
  ASSERT_EQ(error_of_open(), "");
  execute("UPDATE schema_version SET version = 99");
  EXPECT_NE(error_of_open().find("schema version 99"), std::string::npos);
}

TEST_F(SqliteStoreFile, ADamagedPageFailsTheLoad) {
  {
    auto store = SqliteStore::open(path_, name("fed.test")).value();
    std::vector<OwnedRRset> rrsets{{name("fed.test"), soa(1)}};
    for (int i = 0; i < 2000; ++i) {
      rrsets.push_back({name("a" + std::to_string(i) + ".fed.test"), {RRType::a, 1, {Bytes(4)}}});
    }
    ASSERT_TRUE(import_zone(*store, std::move(rrsets)).ok());
  }
  {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    const auto size = std::filesystem::file_size(path_);
    for (std::uintmax_t page = 8 * 4096; page + 4096 <= size; page += 4096) {
      file.seekp(static_cast<std::streamoff>(page));
      file << std::string(512, '\xff');
    }
  }
  auto store = SqliteStore::open(path_, name("fed.test"));
  ASSERT_TRUE(store.ok()) << store.error().message();
  const auto zone = (*store)->load();
  ASSERT_FALSE(zone.ok());
  EXPECT_NE(zone.error().message().find("load database " + path_.string()), std::string::npos);
}

TEST_F(SqliteStoreFile, ASecondProcessIsRefused) {
  auto store = SqliteStore::open(path_, name("fed.test")).value();
  const pid_t child = ::fork();
  if (child == 0) ::_exit(SqliteStore::open(path_, name("fed.test")).ok() ? 0 : 7);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

// The child commits serial after serial and tells each one that was acknowledged; whatever was
// told must be there after kill -9, whole.
[[noreturn]] void commit_until_killed(const std::filesystem::path& path, int told) {
  auto store = SqliteStore::open(path, name("fed.test")).value();
  for (std::uint32_t serial = store->serial().value().value();; ++serial) {
    Transaction transaction;
    const auto owner = name("n" + std::to_string(serial + 1) + ".fed.test");
    transaction.changes.push_back(
        {serial,
         serial + 1,
         {{name("fed.test"), RRType::soa, soa(serial), soa(serial + 1)},
          {owner, RRType::a, std::nullopt, RRset{RRType::a, 60, {Bytes{10, 0, 0, 1}}}}}});
    transaction.leases.push_back({owner, owner, {}, std::nullopt, WallTime{}});
    const auto outcome = store->commit(serial, transaction);
    if (!outcome.ok() || *outcome != CommitOutcome::committed) ::_exit(1);
    const std::uint32_t acknowledged = serial + 1;
    if (::write(told, &acknowledged, sizeof acknowledged) != sizeof acknowledged) ::_exit(2);
  }
}

TEST_F(SqliteStoreFile, NothingAcknowledgedIsLostByKill9) {
  ASSERT_TRUE(
      import_zone(*SqliteStore::open(path_, name("fed.test")).value(), {{name("fed.test"), soa(1)}})
          .ok());
  std::uint32_t last_acknowledged = 1;
  for (int round = 0; round < 10; ++round) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe(ends.data()), 0);
    const UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    const pid_t child = ::fork();
    if (child == 0) commit_until_killed(path_, writer.get());
    writer.reset();
    std::uint32_t serial = 0;
    for (int i = 0; i < 5 + round * 7; ++i) {
      ASSERT_EQ(::read(reader.get(), &serial, sizeof serial), ssize_t{sizeof serial});
    }
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    while (::read(reader.get(), &serial, sizeof serial) == ssize_t{sizeof serial}) {
    }
    last_acknowledged = serial;

    auto store = SqliteStore::open(path_, name("fed.test")).value();
    const std::uint32_t stored = store->serial().value().value();
    EXPECT_GE(stored, last_acknowledged);
    EXPECT_LE(stored, last_acknowledged + 1);
    const StoredZone zone = store->load().value();
    EXPECT_EQ(zone.rrsets.size(), stored);  // one SOA, and one address for each serial after 1
    EXPECT_EQ(zone.leases.size(), stored - 1);
  }
}

}  // namespace
}  // namespace mutua::authority
