#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "authority/store/rows.h"
#include "authority/zone/change_set.h"
#include "authority/zone/rrset.h"
#include "base/result.h"

namespace mutua::authority {

// What one durable step changes. The change sets follow one another: the first starts at the
// stored serial, each next one where the one before ends. None at all leaves the serial as it is
// (a refreshed lease). Rows replace earlier rows of the same owner, or the same (key, fingerprint).
struct Transaction {
  std::vector<ChangeSet> changes;
  std::vector<LeaseRow> leases;
  std::vector<wire::Name> removed_leases;
  std::vector<ReplayRow> replays;
  std::vector<ReplayRow> removed_replays;

  bool empty() const {
    return changes.empty() && leases.empty() && removed_leases.empty() && replays.empty() &&
           removed_replays.empty();
  }
};

struct StoredZone {
  std::vector<OwnedRRset> rrsets;
  std::vector<LeaseRow> leases;
  std::vector<ReplayRow> replays;
  std::optional<std::uint32_t> serial;  // as stored beside the records; nothing: the store is empty
};

// A conflict: somebody else committed first, and nothing was changed.
enum class CommitOutcome { committed, conflict };

// What others have committed, oldest first. Nothing where the store cannot tell any more how it
// went from what was read last to what stands there now: then everything is to be loaded again.
using News = std::optional<std::vector<Transaction>>;

// The durable home of one zone with its leases and its memory of requests. One object is used by
// one thread. Where a store can be shared, several objects, each in an authority of its own, stand
// for the same zone. All transactions of all of them form one sequence, and each object knows up to
// which of them its user has read: load(), follow(), take_turn() and commit() move that place.
//
// Every authority that starts from the same place and takes up the same transactions holds the same
// zone, the same leases and the same memory of requests, bit for bit. Whoever writes decides by the
// newest state: it takes a turn, takes up what comes with it, decides and commits.
class ZoneStore {
 public:
  virtual ~ZoneStore() = default;

  // The serial of the stored zone; nothing where the store is empty.
  virtual Result<std::optional<std::uint32_t>> serial() = 0;

  // Everything, as of the last commit. An empty store has no RRsets.
  virtual Result<StoredZone> load() = 0;

  // Commits `transaction` atomically where its user has read everything and the stored serial
  // equals `expected`, or where nothing is stored and `expected` is nothing (the import of a zone:
  // one change set from 0, each `before` empty). On success the data survives power loss. A
  // conflict, or any failure whose outcome is known, changes nothing; where an Error says that the
  // outcome is unknown, load() tells. Rows are removed before rows are added. Ends the turn.
  virtual Result<CommitOutcome> commit(std::optional<std::uint32_t> expected,
                                       const Transaction& transaction) = 0;

  // What others have committed meanwhile. Needs no turn and waits for none.
  virtual Result<News> follow() { return News(std::in_place); }
  // The same, and from then on nobody else commits until commit() or end_turn(), or until the store
  // takes the turn away from one who is slow: its commit() is then a conflict if anybody came
  // first. Waits for others' turns, for some seconds at most.
  virtual Result<News> take_turn() { return News(std::in_place); }
  // Without having committed. Does nothing where there is no turn.
  virtual void end_turn() {}

  // From now on `changed` is called soon after others have committed, on another thread. It may be
  // called in vain, and now and then not at all: follow() is due every second all the same. An
  // empty function ends that; no call is under way once watch() has returned.
  virtual void watch(std::function<void()> changed) { (void)changed; }

  // All that the journal holds, oldest first: what led to the stored version last. The journal is
  // bounded.
  virtual Result<std::vector<ChangeSet>> recent_changes() = 0;
};

// The serial that a transaction leads to from `stored` (nothing: an empty store). Fails where its
// change sets do not follow one another.
Result<std::optional<std::uint32_t>> serial_after(std::optional<std::uint32_t> stored,
                                                  const Transaction& transaction);

// Fills an empty store with a zone. Fails, changing nothing, where it is not empty or the records
// have no SOA.
Result<void> import_zone(ZoneStore& store, std::vector<OwnedRRset> rrsets);
// The same with leases and the memory of requests: a zone that moves from another store.
Result<void> import_zone(ZoneStore& store, StoredZone zone);

}  // namespace mutua::authority
