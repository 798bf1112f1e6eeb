#pragma once

#include <memory>
#include <string>

#include "authority/store/zone_store.h"
#include "wire/name.h"

namespace mutua::authority {

// A zone in a PostgreSQL database, which any number of authorities share.
//
// The sequence of transactions. Each commit raises `zone.position` by one and gives the zone the
// commit's own random id; the journal row at that position holds the transaction, its id and the id
// of the one before. Whoever has read up to (position, id) reads on from there; where the chain of
// ids does not lead on, the zone is loaded again (the journal is bounded, and a database may lose,
// when it crashes, what it had told nobody).
//
// A turn is a transaction that has locked the row of `zone`. Its commit writes only where the zone
// stands at the (position, id) that its user has read: so no two commits ever follow the same one,
// turn or not. A holder that says nothing for 10 s loses its session, and with it the turn.
//
// A lost connection. Reading begins a new session at once, then with back-off (50 ms to 1 s); until
// one is there, every call fails at once. A commit during which the connection is lost is looked
// for under the lock: found, it is committed; not found, it is written again, which succeeds only
// where nobody was first, the lost attempt included. Then it is acknowledged; after 8 s without an
// answer it fails, its outcome unknown to the client as to us, and what stands in the database
// counts. What is found in this way is committed once more with a write of its own, so that
// synchronous standbys have it before anybody is told.
//
// Durability and fail-over are the database's: with synchronous_standby_names set, and several
// hosts in the connection string, a promoted standby has every acknowledged transaction. The
// primary that was replaced must not be written to again; with synchronous standbys it cannot
// acknowledge.
//
// A watch is a session of its own that listens to the commits of others (LISTEN).
class PostgresStore final : public ZoneStore {
 public:
  // Connects. Fails where no server that takes writes answers within seconds, where the schema is
  // missing, older or newer than this program's (see postgres::migrate), or another zone's.
  // `journal_limit`: transactions kept for others to follow.
  static Result<std::unique_ptr<PostgresStore>> open(const std::string& database,
                                                     const wire::Name& apex,
                                                     std::size_t journal_limit = 4096);
  ~PostgresStore() override;

  Result<std::optional<std::uint32_t>> serial() override;
  Result<StoredZone> load() override;
  Result<CommitOutcome> commit(std::optional<std::uint32_t> expected,
                               const Transaction& transaction) override;
  Result<News> follow() override;
  Result<News> take_turn() override;
  void end_turn() override;
  void watch(std::function<void()> changed) override;
  Result<std::vector<ChangeSet>> recent_changes() override;

 private:
  struct Database;
  explicit PostgresStore(std::unique_ptr<Database> database);

  std::unique_ptr<Database> database_;
};

}  // namespace mutua::authority
