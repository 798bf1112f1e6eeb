#include "authority/store/sqlite_store.h"

#include <chrono>
#include <string>
#include <utility>

#include "authority/store/change_codec.h"
#include "authority/store/sqlite_handle.h"

namespace mutua::authority {
namespace {

// "Mutu": tells our files from those of other programs (PRAGMA application_id).
constexpr std::int64_t kApplicationId = 0x4d757475;
constexpr std::int64_t kSchemaVersion = 1;

// Names are keyed by their lower-case wire format; `owner` keeps the letters that were given.
constexpr const char* kSchema = R"(
  CREATE TABLE schema_version (version INTEGER NOT NULL);
  CREATE TABLE zone (apex BLOB NOT NULL, serial INTEGER);
  CREATE TABLE rrset (
    owner_key BLOB NOT NULL, type INTEGER NOT NULL, owner BLOB NOT NULL, ttl INTEGER NOT NULL,
    rdatas BLOB NOT NULL, PRIMARY KEY (owner_key, type)) WITHOUT ROWID;
  CREATE TABLE lease (
    owner_key BLOB PRIMARY KEY, owner BLOB NOT NULL, host BLOB NOT NULL, key BLOB NOT NULL,
    expiry INTEGER, key_expiry INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE replay (
    key BLOB NOT NULL, fingerprint BLOB NOT NULL, signed_at INTEGER NOT NULL,
    expiry INTEGER NOT NULL, PRIMARY KEY (key, fingerprint)) WITHOUT ROWID;
  CREATE TABLE journal (
    sequence INTEGER PRIMARY KEY, from_serial INTEGER NOT NULL, change BLOB NOT NULL);
)";

Bytes name_key(const wire::Name& name) { return to_bytes(name.lowered().wire()); }

std::int64_t seconds_of(WallTime time) { return time.time_since_epoch().count(); }
WallTime time_of(std::int64_t seconds) { return WallTime(std::chrono::seconds(seconds)); }

}  // namespace

struct SqliteStore::Database {
  std::string path;
  std::size_t journal_limit = 0;
  sqlite::Connection connection;
  // After the connection: statements are finalized before it closes.
  sqlite::Statement read_serial, write_serial, put_rrset, delete_rrset, put_lease, delete_lease,
      put_replay, delete_replay, add_change, trim_journal;

  Result<void> configure();
  Result<void> create_or_check(const wire::Name& apex);
  Result<void> check_identity(const wire::Name& apex);
  Result<void> prepare();

  Result<void> load_rrsets(std::vector<OwnedRRset>& out);
  Result<void> load_leases(std::vector<LeaseRow>& out);
  Result<void> load_replays(std::vector<ReplayRow>& out);

  Result<void> store_change(const ChangeSet& change, bool journaled);
  Result<void> store_rows(const Transaction& transaction);
  Result<std::vector<ChangeSet>> read_changes();
};

SqliteStore::SqliteStore(std::unique_ptr<Database> database) : database_(std::move(database)) {}
SqliteStore::~SqliteStore() = default;

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::filesystem::path& path,
                                                       const wire::Name& apex,
                                                       std::size_t journal_limit) {
  auto database = std::make_unique<Database>();
  database->path = path.string();
  database->journal_limit = journal_limit;
  const auto set_up = [&]() -> Result<void> {
    database->connection = TRY(sqlite::Connection::open(path));
    TRY(database->configure());
    TRY(database->create_or_check(apex));
    return database->prepare();
  };
  if (auto done = set_up(); !done.ok()) return done.error().in("open database " + path.string());
  return std::unique_ptr<SqliteStore>(new SqliteStore(std::move(database)));
}

Result<void> SqliteStore::Database::configure() {
  // Exclusive: a second authority on the same file would answer from a stale copy. It also spares
  // the shared-memory file of the write-ahead log.
  TRY(connection.execute("PRAGMA locking_mode=EXCLUSIVE"));
  if (TRY(connection.integer("PRAGMA application_id")) == 0 &&
      TRY(connection.integer("SELECT count(*) FROM sqlite_schema")) > 0) {
    return Error("it belongs to another program");
  }
  TRY(connection.execute("PRAGMA journal_mode=WAL"));
  TRY(connection.execute("PRAGMA synchronous=FULL"));
  return {};
}

Result<void> SqliteStore::Database::create_or_check(const wire::Name& apex) {
  sqlite::Scope scope = TRY(sqlite::Scope::begin(connection));
  if (TRY(connection.integer("SELECT count(*) FROM sqlite_schema")) > 0) {
    TRY(check_identity(apex));
    return scope.commit();
  }
  TRY(connection.execute(kSchema));
  TRY(connection.execute(("PRAGMA application_id=" + std::to_string(kApplicationId)).c_str()));
  sqlite::Statement version = TRY(connection.prepare("INSERT INTO schema_version VALUES (?)"));
  TRY(version.bind(1, kSchemaVersion).run());
  sqlite::Statement zone = TRY(connection.prepare("INSERT INTO zone VALUES (?, NULL)"));
  const Bytes key = name_key(apex);
  TRY(zone.bind(1, key).run());
  return scope.commit();
}

Result<void> SqliteStore::Database::check_identity(const wire::Name& apex) {
  if (TRY(connection.integer("PRAGMA application_id")) != kApplicationId) {
    return Error("it belongs to another program");
  }
  const std::int64_t version = TRY(connection.integer("SELECT version FROM schema_version"));
  if (version != kSchemaVersion) {
    return errorf("schema version %lld, this program knows %lld", static_cast<long long>(version),
                  static_cast<long long>(kSchemaVersion));
  }
  sqlite::Statement zone = TRY(connection.prepare("SELECT apex FROM zone"));
  if (!TRY(zone.step())) return Error("it names no zone");
  const wire::Name stored = TRY(wire::Name::from_wire(zone.column_bytes(0)));
  if (stored != apex) {
    return errorf("it holds the zone %s, not %s", stored.to_text().c_str(), apex.to_text().c_str());
  }
  return {};
}

Result<void> SqliteStore::Database::prepare() {
  read_serial = TRY(connection.prepare("SELECT serial FROM zone"));
  write_serial = TRY(connection.prepare("UPDATE zone SET serial = ?"));
  put_rrset = TRY(connection.prepare(
      "INSERT OR REPLACE INTO rrset (owner_key, type, owner, ttl, rdatas) VALUES (?, ?, ?, ?, ?)"));
  delete_rrset = TRY(connection.prepare("DELETE FROM rrset WHERE owner_key = ? AND type = ?"));
  put_lease = TRY(connection.prepare(
      "INSERT OR REPLACE INTO lease (owner_key, owner, host, key, expiry, key_expiry) "
      "VALUES (?, ?, ?, ?, ?, ?)"));
  delete_lease = TRY(connection.prepare("DELETE FROM lease WHERE owner_key = ?"));
  put_replay = TRY(connection.prepare(
      "INSERT OR REPLACE INTO replay (key, fingerprint, signed_at, expiry) VALUES (?, ?, ?, ?)"));
  delete_replay = TRY(connection.prepare("DELETE FROM replay WHERE key = ? AND fingerprint = ?"));
  add_change = TRY(connection.prepare("INSERT INTO journal (from_serial, change) VALUES (?, ?)"));
  trim_journal = TRY(connection.prepare(
      "DELETE FROM journal WHERE sequence <= (SELECT max(sequence) FROM journal) - ?"));
  return {};
}

Result<std::optional<std::uint32_t>> SqliteStore::serial() {
  sqlite::Statement& statement = database_->read_serial;
  std::optional<std::uint32_t> serial;
  if (!TRY(statement.step())) return Error("read serial: " + database_->path + " names no zone");
  if (!statement.column_is_null(0))
    serial = static_cast<std::uint32_t>(statement.column_integer(0));
  statement.reset();
  return serial;
}

Result<StoredZone> SqliteStore::load() {
  StoredZone zone;
  const auto all = [&]() -> Result<void> {
    zone.serial = TRY(serial());
    TRY(database_->load_rrsets(zone.rrsets));
    TRY(database_->load_leases(zone.leases));
    return database_->load_replays(zone.replays);
  };
  if (auto loaded = all(); !loaded.ok())
    return loaded.error().in("load database " + database_->path);
  return zone;
}

Result<void> SqliteStore::Database::load_rrsets(std::vector<OwnedRRset>& out) {
  sqlite::Statement rows = TRY(connection.prepare("SELECT owner, type, ttl, rdatas FROM rrset"));
  while (TRY(rows.step())) {
    OwnedRRset owned;
    owned.owner = TRY(wire::Name::from_wire(rows.column_bytes(0)));
    owned.rrset.type = static_cast<wire::RRType>(rows.column_integer(1));
    owned.rrset.ttl = static_cast<std::uint32_t>(rows.column_integer(2));
    owned.rrset.rdatas = TRY(decode_rdatas(rows.column_bytes(3)));
    out.push_back(std::move(owned));
  }
  return {};
}

Result<void> SqliteStore::Database::load_leases(std::vector<LeaseRow>& out) {
  sqlite::Statement rows =
      TRY(connection.prepare("SELECT owner, host, key, expiry, key_expiry FROM lease"));
  while (TRY(rows.step())) {
    LeaseRow row;
    row.owner = TRY(wire::Name::from_wire(rows.column_bytes(0)));
    row.host = TRY(wire::Name::from_wire(rows.column_bytes(1)));
    row.key = TRY(trust::Digest::from_octets(rows.column_bytes(2)));
    if (!rows.column_is_null(3)) row.expiry = time_of(rows.column_integer(3));
    row.key_expiry = time_of(rows.column_integer(4));
    out.push_back(std::move(row));
  }
  return {};
}

Result<void> SqliteStore::Database::load_replays(std::vector<ReplayRow>& out) {
  sqlite::Statement rows =
      TRY(connection.prepare("SELECT key, fingerprint, signed_at, expiry FROM replay"));
  while (TRY(rows.step())) {
    ReplayRow row;
    row.key = TRY(trust::Digest::from_octets(rows.column_bytes(0)));
    row.fingerprint = TRY(trust::Digest::from_octets(rows.column_bytes(1)));
    row.signed_at = rows.column_integer(2);
    row.expiry = time_of(rows.column_integer(3));
    out.push_back(row);
  }
  return {};
}

Result<CommitOutcome> SqliteStore::commit(std::optional<std::uint32_t> expected,
                                          const Transaction& transaction) {
  auto committed = commit_at(expected, transaction);
  if (!committed.ok()) return committed.error().in("commit to database " + database_->path);
  return committed;
}

Result<CommitOutcome> SqliteStore::commit_at(std::optional<std::uint32_t> expected,
                                             const Transaction& transaction) {
  sqlite::Scope scope = TRY(sqlite::Scope::begin(database_->connection));
  const auto stored = TRY(serial());
  if (stored != expected) return CommitOutcome::conflict;
  const auto at = TRY(serial_after(stored, transaction));
  for (const ChangeSet& change : transaction.changes)
    TRY(database_->store_change(change, stored.has_value()));
  if (at && at != stored) TRY(database_->write_serial.bind(1, std::int64_t{*at}).run());
  if (!transaction.changes.empty()) {
    TRY(database_->trim_journal.bind(1, static_cast<std::int64_t>(database_->journal_limit)).run());
  }
  TRY(database_->store_rows(transaction));
  TRY(scope.commit());
  return CommitOutcome::committed;
}

Result<void> SqliteStore::Database::store_change(const ChangeSet& change, bool journaled) {
  for (const RRsetChange& one : change.changes) {
    const Bytes key = name_key(one.owner);
    const auto type = static_cast<std::int64_t>(one.type);
    if (!one.after) {
      TRY(delete_rrset.bind(1, key).bind(2, type).run());
      continue;
    }
    const Bytes rdatas = encode_rdatas(one.after->rdatas);
    TRY(put_rrset.bind(1, key)
            .bind(2, type)
            .bind(3, one.owner.wire())
            .bind(4, std::int64_t{one.after->ttl})
            .bind(5, rdatas)
            .run());
  }
  // The import of a whole zone is no change that a secondary could ask for.
  if (!journaled) return {};
  const Bytes encoded = encode_change_set(change);
  return add_change.bind(1, std::int64_t{change.from}).bind(2, encoded).run();
}

Result<void> SqliteStore::Database::store_rows(const Transaction& transaction) {
  for (const wire::Name& owner : transaction.removed_leases) {
    const Bytes key = name_key(owner);
    TRY(delete_lease.bind(1, key).run());
  }
  for (const LeaseRow& row : transaction.leases) {
    const Bytes key = name_key(row.owner);
    put_lease.bind(1, key).bind(2, row.owner.wire()).bind(3, row.host.wire());
    put_lease.bind(4, row.key.octets());
    if (row.expiry) {
      put_lease.bind(5, seconds_of(*row.expiry));
    } else {
      put_lease.bind_null(5);
    }
    TRY(put_lease.bind(6, seconds_of(row.key_expiry)).run());
  }
  for (const ReplayRow& row : transaction.removed_replays) {
    TRY(delete_replay.bind(1, row.key.octets()).bind(2, row.fingerprint.octets()).run());
  }
  for (const ReplayRow& row : transaction.replays) {
    TRY(put_replay.bind(1, row.key.octets())
            .bind(2, row.fingerprint.octets())
            .bind(3, row.signed_at)
            .bind(4, seconds_of(row.expiry))
            .run());
  }
  return {};
}

Result<std::vector<ChangeSet>> SqliteStore::recent_changes() { return database_->read_changes(); }

Result<std::vector<ChangeSet>> SqliteStore::Database::read_changes() {
  sqlite::Statement rows = TRY(connection.prepare("SELECT change FROM journal ORDER BY sequence"));
  std::vector<ChangeSet> changes;
  while (TRY(rows.step())) {
    auto change = decode_change_set(rows.column_bytes(0));
    if (!change.ok()) return change.error().in("changes of " + path);
    changes.push_back(*std::move(change));
  }
  return changes;
}

}  // namespace mutua::authority
