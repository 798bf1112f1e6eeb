#include "authority/store/postgres_store.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>
#include <utility>

#include "authority/store/change_codec.h"
#include "authority/store/postgres_listener.h"
#include "authority/store/postgres_schema.h"
#include "authority/store/postgres_session.h"
#include "base/log.h"
#include "trust/random.h"

namespace mutua::authority {
namespace {

using postgres::literal;
using postgres::Rows;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kFirstPause(50), kLongestPause(1000);
constexpr milliseconds kPatienceForOutcome(8000);
constexpr milliseconds kPatienceForLoad(60'000);  // for each piece
constexpr std::size_t kIdSize = 16;
constexpr std::size_t kRowsOfAStatement = 1000;
constexpr const char* kRowsOfAPiece = "20000";
constexpr std::size_t kNewsOfAPiece = 256;

Bytes name_key(const wire::Name& name) { return to_bytes(name.lowered().wire()); }

std::string seconds_of(WallTime time) { return std::to_string(time.time_since_epoch().count()); }

Result<wire::Name> name_at(const Rows& rows, std::size_t row, int column) {
  const Bytes octets = TRY(rows.bytes(row, column));
  return wire::Name::from_wire(octets);
}

Result<trust::Digest> digest_at(const Rows& rows, std::size_t row, int column) {
  const Bytes octets = TRY(rows.bytes(row, column));
  return trust::Digest::from_octets(octets);
}

Result<WallTime> time_at(const Rows& rows, std::size_t row, int column) {
  return WallTime(std::chrono::seconds(TRY(rows.integer(row, column))));
}

Result<Transaction> transaction_at(const Rows& rows, std::size_t row, int column) {
  const Bytes octets = TRY(rows.bytes(row, column));
  return decode_transaction(octets);
}

// "head (row),(row)… tail;" in statements of at most kRowsOfAStatement rows; nothing for no rows.
void append_rows(std::string& sql, const std::vector<std::string>& rows, const std::string& head,
                 const std::string& tail) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const bool is_first = i % kRowsOfAStatement == 0;
    const bool is_last = i + 1 == rows.size() || (i + 1) % kRowsOfAStatement == 0;
    sql += (is_first ? head + " (" : ", (") + rows[i] + ")";
    if (is_last) sql += tail + ";";
  }
}

// What a transaction leads to, as SQL: each row is written once, however often it changed.
class Writes {
 public:
  explicit Writes(const Transaction& transaction) {
    for (const ChangeSet& change : transaction.changes)
      for (const RRsetChange& one : change.changes) rrsets_[{name_key(one.owner), one.type}] = &one;
    for (const wire::Name& owner : transaction.removed_leases)
      removed_leases_.push_back(literal(name_key(owner)));
    for (const LeaseRow& row : transaction.leases) leases_[name_key(row.owner)] = &row;
    for (const ReplayRow& row : transaction.removed_replays)
      removed_replays_.push_back(key_of(row));
    for (const ReplayRow& row : transaction.replays) replays_[key_of(row)] = &row;
  }

  std::string sql() const {
    std::string out;
    append_rrsets(out);
    append_rows(out, removed_leases_, "DELETE FROM lease USING (VALUES",
                ") AS gone (owner_key) WHERE lease.owner_key = gone.owner_key");
    append_leases(out);
    append_rows(out, removed_replays_, "DELETE FROM replay USING (VALUES",
                ") AS gone (key, fingerprint) WHERE replay.key = gone.key AND "
                "replay.fingerprint = gone.fingerprint");
    append_replays(out);
    return out;
  }

 private:
  static std::string key_of(const ReplayRow& row) {
    return literal(row.key.octets()) + ", " + literal(row.fingerprint.octets());
  }

  void append_rrsets(std::string& out) const {
    std::vector<std::string> removed, put;
    for (const auto& [place, change] : rrsets_) {
      std::string row =
          literal(place.first) + ", " + std::to_string(static_cast<unsigned>(place.second));
      if (!change->after) {
        removed.push_back(std::move(row));
        continue;
      }
      put.push_back(row + ", " + literal(change->owner.wire()) + ", " +
                    std::to_string(change->after->ttl) + ", " +
                    literal(encode_rdatas(change->after->rdatas)));
    }
    append_rows(out, removed, "DELETE FROM rrset USING (VALUES",
                ") AS gone (owner_key, type) WHERE rrset.owner_key = gone.owner_key AND "
                "rrset.type = gone.type");
    append_rows(out, put, "INSERT INTO rrset (owner_key, type, owner, ttl, rdatas) VALUES",
                " ON CONFLICT (owner_key, type) DO UPDATE SET owner = EXCLUDED.owner, "
                "ttl = EXCLUDED.ttl, rdatas = EXCLUDED.rdatas");
  }

  void append_leases(std::string& out) const {
    std::vector<std::string> rows;
    for (const auto& [key, row] : leases_)
      rows.push_back(literal(key) + ", " + literal(row->owner.wire()) + ", " +
                     literal(row->host.wire()) + ", " + literal(row->key.octets()) + ", " +
                     (row->expiry ? seconds_of(*row->expiry) : "NULL") + ", " +
                     seconds_of(row->key_expiry));
    append_rows(out, rows,
                "INSERT INTO lease (owner_key, owner, host, key, expiry, key_expiry) VALUES",
                " ON CONFLICT (owner_key) DO UPDATE SET owner = EXCLUDED.owner, "
                "host = EXCLUDED.host, key = EXCLUDED.key, expiry = EXCLUDED.expiry, "
                "key_expiry = EXCLUDED.key_expiry");
  }

  void append_replays(std::string& out) const {
    std::vector<std::string> rows;
    for (const auto& [key, row] : replays_)
      rows.push_back(key + ", " + std::to_string(row->signed_at) + ", " + seconds_of(row->expiry));
    append_rows(out, rows, "INSERT INTO replay (key, fingerprint, signed_at, expiry) VALUES",
                " ON CONFLICT (key, fingerprint) DO UPDATE SET signed_at = EXCLUDED.signed_at, "
                "expiry = EXCLUDED.expiry");
  }

  std::map<std::pair<Bytes, wire::RRType>, const RRsetChange*> rrsets_;
  std::vector<std::string> removed_leases_, removed_replays_;
  std::map<Bytes, const LeaseRow*> leases_;
  std::map<std::string, const ReplayRow*> replays_;
};

}  // namespace

struct PostgresStore::Database {
  // Up to which transaction somebody has read, or where the zone stands.
  struct Place {
    std::int64_t position = 0;
    Bytes id;
    bool operator==(const Place&) const = default;
  };
  struct Stand {
    Place place;
    std::optional<std::uint32_t> serial;
  };
  // One commit, the same through all its attempts.
  struct Batch {
    Bytes id;
    std::optional<std::uint32_t> expected;
    std::string sql;  // up to its COMMIT
  };

  Database(postgres::Address address, wire::Name zone, std::size_t limit)
      : apex(std::move(zone)), journal_limit(limit), session(std::move(address)) {}

  Result<void> connect();
  // A statement that may be said again in a new session.
  Result<Rows> read(const std::string& sql);

  Result<Stand> stand_of(const Rows& rows, std::size_t row = 0) const;
  Result<Stand> lock();
  void roll_back();
  Result<News> news(bool in_turn);
  Result<bool> read_news(News& news, bool in_turn);

  Result<void> load(StoredZone& zone);
  Result<void> load_rrsets(std::vector<OwnedRRset>& out);
  Result<void> load_leases(std::vector<LeaseRow>& out);
  Result<void> load_replays(std::vector<ReplayRow>& out);

  Result<Batch> make_batch(std::optional<std::uint32_t> expected, const Transaction& transaction);
  Result<CommitOutcome> try_commit(const Batch& batch);
  Result<CommitOutcome> find(const Batch& batch, const Stand& found);

  const wire::Name apex;
  const std::size_t journal_limit;
  const std::string self = trust::random_hex(8);

  postgres::Session session;
  steady_clock::time_point next_attempt{};
  milliseconds pause = kFirstPause;
  std::string last_failure;

  bool has_turn = false;
  Place read_up_to;
  std::unique_ptr<postgres::Listener> listener;
};

PostgresStore::PostgresStore(std::unique_ptr<Database> database) : database_(std::move(database)) {}
PostgresStore::~PostgresStore() = default;

Result<std::unique_ptr<PostgresStore>> PostgresStore::open(const std::string& text,
                                                           const wire::Name& apex,
                                                           std::size_t journal_limit) {
  auto address = TRY(postgres::Address::parse(text));
  const std::string label = address.label();
  auto database = std::make_unique<Database>(std::move(address), apex, journal_limit);
  TRY(database->connect());
  if (auto checked = check_schema(database->session, apex); !checked.ok())
    return checked.error().in("open database " + label);
  return std::unique_ptr<PostgresStore>(new PostgresStore(std::move(database)));
}

// ---------------------------------------------------------------- sessions

Result<void> PostgresStore::Database::connect() {
  if (session.is_connected()) return {};
  has_turn = false;
  const auto now = steady_clock::now();
  if (now < next_attempt) return Error(last_failure);
  auto connected = session.connect();
  if (connected.ok()) {
    if (auto set = session.execute(postgres::kSessionSettings); !set.ok()) connected = set.error();
  }
  if (connected.ok()) {
    pause = kFirstPause;
    return {};
  }
  session.disconnect();
  last_failure = connected.error().message();
  // Not all at the same moment, once the database is back.
  next_attempt = steady_clock::now() + pause + pause * (trust::random_u32() % 256) / 512;
  pause = std::min(pause * 2, kLongestPause);
  return connected;
}

Result<Rows> PostgresStore::Database::read(const std::string& sql) {
  TRY(connect());
  auto rows = session.execute(sql);
  if (rows.ok()) return rows;
  if (!session.is_connected()) {
    TRY(connect());  // it was idle, and its server has gone meanwhile
    rows = session.execute(sql);
  }
  if (!rows.ok()) session.disconnect();  // nothing of it is worth keeping
  return rows;
}

void PostgresStore::Database::roll_back() {
  if (!std::exchange(has_turn, false) || !session.is_connected()) return;
  if (!session.execute("ROLLBACK").ok()) session.disconnect();
}

// ---------------------------------------------------------------- following

// Columns 0 to 2: position, id, serial.
Result<PostgresStore::Database::Stand> PostgresStore::Database::stand_of(const Rows& rows,
                                                                         std::size_t row) const {
  if (rows.size() == 0) return Error(session.address().label() + " names no zone");
  Stand stand;
  stand.place = {TRY(rows.integer(row, 0)), TRY(rows.bytes(row, 1))};
  if (!rows.is_null(row, 2)) stand.serial = static_cast<std::uint32_t>(TRY(rows.integer(row, 2)));
  return stand;
}

Result<PostgresStore::Database::Stand> PostgresStore::Database::lock() {
  has_turn = false;
  const Rows rows =
      TRY(read("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;"
               "SELECT position, batch, serial FROM zone FOR UPDATE"));
  has_turn = true;
  return stand_of(rows);
}

Result<News> PostgresStore::Database::news(bool in_turn) {
  News all(std::in_place);
  while (all && TRY(read_news(all, in_turn))) {
  }
  return all;
}

// One piece of what is new; true where there may be more.
Result<bool> PostgresStore::Database::read_news(News& news, bool in_turn) {
  const std::string sql =
      "SELECT z.position, z.batch, z.serial, j.position, j.batch, j.previous, j.content "
      "FROM zone z LEFT JOIN journal j ON j.position > " +
      std::to_string(read_up_to.position) + " ORDER BY j.position LIMIT " +
      std::to_string(kNewsOfAPiece);
  const Rows rows = in_turn ? TRY(session.execute(sql)) : TRY(read(sql));
  const Stand stand = TRY(stand_of(rows));
  if (stand.place == read_up_to) return false;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const bool leads_on = !rows.is_null(row, 3) &&
                          TRY(rows.integer(row, 3)) == read_up_to.position + 1 &&
                          TRY(rows.bytes(row, 5)) == read_up_to.id;
    if (!leads_on) {
      news.reset();
      return false;
    }
    news->push_back(TRY(transaction_at(rows, row, 6)));
    read_up_to = {read_up_to.position + 1, TRY(rows.bytes(row, 4))};
  }
  return read_up_to != stand.place;
}

Result<News> PostgresStore::follow() { return database_->news(false); }

Result<News> PostgresStore::take_turn() {
  const auto stand = TRY(database_->lock());
  if (stand.place == database_->read_up_to) return News(std::in_place);
  auto news = database_->news(true);
  if (!news.ok() || !*news) database_->roll_back();
  return news;
}

void PostgresStore::end_turn() { database_->roll_back(); }

void PostgresStore::watch(std::function<void()> changed) {
  database_->listener.reset();
  if (!changed) return;
  auto listener =
      postgres::Listener::start(database_->session.address(), database_->self, std::move(changed));
  if (listener.ok())
    database_->listener = *std::move(listener);
  else
    log::warning("database.not_listening", {{"error", listener.error().message()}});
}

// ---------------------------------------------------------------- reading

Result<std::optional<std::uint32_t>> PostgresStore::serial() {
  const Rows rows = TRY(database_->read("SELECT position, batch, serial FROM zone"));
  const auto stand = TRY(database_->stand_of(rows));
  return stand.serial;
}

Result<StoredZone> PostgresStore::load() {
  StoredZone zone;
  auto loaded = database_->load(zone);
  if (loaded.ok()) return zone;
  database_->session.disconnect();
  return loaded.error().in("load the zone");
}

// All in one snapshot, which is the zone at one place of the sequence.
Result<void> PostgresStore::Database::load(StoredZone& zone) {
  has_turn = false;
  const Rows rows =
      TRY(read("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
               "SELECT position, batch, serial FROM zone"));
  const Stand stand = TRY(stand_of(rows));
  TRY(load_rrsets(zone.rrsets));
  TRY(load_leases(zone.leases));
  TRY(load_replays(zone.replays));
  TRY(session.execute("COMMIT"));
  zone.serial = stand.serial;
  read_up_to = stand.place;
  return {};
}

Result<void> PostgresStore::Database::load_rrsets(std::vector<OwnedRRset>& out) {
  TRY(session.execute(
      "DECLARE rrsets NO SCROLL CURSOR FOR SELECT owner, type, ttl, rdatas FROM rrset"));
  while (true) {
    const Rows rows = TRY(
        session.execute(std::string("FETCH ") + kRowsOfAPiece + " FROM rrsets", kPatienceForLoad));
    if (rows.size() == 0) return {};
    for (std::size_t i = 0; i < rows.size(); ++i) {
      OwnedRRset owned;
      owned.owner = TRY(name_at(rows, i, 0));
      owned.rrset.type = static_cast<wire::RRType>(TRY(rows.integer(i, 1)));
      owned.rrset.ttl = static_cast<std::uint32_t>(TRY(rows.integer(i, 2)));
      const Bytes rdatas = TRY(rows.bytes(i, 3));
      owned.rrset.rdatas = TRY(decode_rdatas(rdatas));
      out.push_back(std::move(owned));
    }
  }
}

Result<void> PostgresStore::Database::load_leases(std::vector<LeaseRow>& out) {
  const Rows rows = TRY(
      session.execute("SELECT owner, host, key, expiry, key_expiry FROM lease", kPatienceForLoad));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    LeaseRow row;
    row.owner = TRY(name_at(rows, i, 0));
    row.host = TRY(name_at(rows, i, 1));
    row.key = TRY(digest_at(rows, i, 2));
    if (!rows.is_null(i, 3)) row.expiry = TRY(time_at(rows, i, 3));
    row.key_expiry = TRY(time_at(rows, i, 4));
    out.push_back(std::move(row));
  }
  return {};
}

Result<void> PostgresStore::Database::load_replays(std::vector<ReplayRow>& out) {
  const Rows rows = TRY(
      session.execute("SELECT key, fingerprint, signed_at, expiry FROM replay", kPatienceForLoad));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    ReplayRow row;
    row.key = TRY(digest_at(rows, i, 0));
    row.fingerprint = TRY(digest_at(rows, i, 1));
    row.signed_at = TRY(rows.integer(i, 2));
    row.expiry = TRY(time_at(rows, i, 3));
    out.push_back(row);
  }
  return {};
}

Result<std::vector<ChangeSet>> PostgresStore::recent_changes() {
  const Rows rows = TRY(database_->read("SELECT content FROM journal ORDER BY position"));
  std::vector<ChangeSet> changes;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Transaction transaction = TRY(transaction_at(rows, i, 0));
    std::ranges::move(transaction.changes, std::back_inserter(changes));
  }
  return changes;
}

// ---------------------------------------------------------------- committing

Result<PostgresStore::Database::Batch> PostgresStore::Database::make_batch(
    std::optional<std::uint32_t> expected, const Transaction& transaction) {
  const auto serial = TRY(serial_after(expected, transaction));
  Batch batch{trust::random_bytes(kIdSize), expected, Writes(transaction).sql()};
  const std::string position = std::to_string(read_up_to.position + 1);
  batch.sql += "UPDATE zone SET position = " + position + ", batch = " + literal(batch.id) +
               ", serial = " + (serial ? std::to_string(*serial) : "NULL") + ";";
  // The import of a whole zone is no change that anybody could ask for.
  if (expected) {
    batch.sql += "INSERT INTO journal VALUES (" + position + ", " + literal(batch.id) + ", " +
                 literal(read_up_to.id) + ", " + literal(encode_transaction(transaction)) +
                 "); DELETE FROM journal WHERE position <= " + position + " - " +
                 std::to_string(journal_limit) + ";";
  }
  batch.sql += std::string("SELECT pg_notify('") + postgres::kChannel + "', '" + self + "');";
  return batch;
}

Result<CommitOutcome> PostgresStore::commit(std::optional<std::uint32_t> expected,
                                            const Transaction& transaction) {
  const Database::Batch batch = TRY(database_->make_batch(expected, transaction));
  const auto give_up = steady_clock::now() + kPatienceForOutcome;
  bool is_in_doubt = false;
  while (true) {
    auto outcome = database_->try_commit(batch);
    if (outcome.ok()) return outcome;
    const bool is_lost = !database_->session.is_connected();
    database_->session.disconnect();  // which rolls back
    database_->has_turn = false;
    is_in_doubt = is_in_doubt || is_lost;
    if (!is_in_doubt) return outcome.error().in("commit");
    if (steady_clock::now() >= give_up) return outcome.error().in("commit, its outcome is unknown");
    std::this_thread::sleep_for(kFirstPause);
  }
}

Result<CommitOutcome> PostgresStore::Database::try_commit(const Batch& batch) {
  if (!has_turn || !session.is_connected()) {
    const Stand found = TRY(lock());
    if (found.place != read_up_to || found.serial != batch.expected) return find(batch, found);
  }
  TRY(session.execute(batch.sql + "COMMIT"));
  has_turn = false;
  read_up_to = {read_up_to.position + 1, batch.id};
  return CommitOutcome::committed;
}

// The zone stands elsewhere: by this very batch, in an attempt that was given up for lost, or by
// others.
Result<CommitOutcome> PostgresStore::Database::find(const Batch& batch, const Stand& found) {
  const Place after{read_up_to.position + 1, batch.id};
  bool is_ours = found.place == after;
  if (!is_ours) {
    const Rows rows = TRY(session.execute("SELECT batch FROM journal WHERE position = " +
                                          std::to_string(after.position)));
    is_ours = rows.size() == 1 && TRY(rows.bytes(0, 0)) == batch.id;
  }
  if (!is_ours) {
    roll_back();
    return CommitOutcome::conflict;
  }
  // A server that crashed may know of commits that its standbys do not: a write waits for them.
  TRY(session.execute("UPDATE zone SET position = position; COMMIT"));
  has_turn = false;
  read_up_to = after;
  return CommitOutcome::committed;
}

}  // namespace mutua::authority
