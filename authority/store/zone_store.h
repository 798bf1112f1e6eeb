#pragma once

#include <cstdint>
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
};

// The durable home of one zone with its leases and its memory of requests. Used by one thread.
class ZoneStore {
 public:
  virtual ~ZoneStore() = default;

  // The serial of the stored zone; nothing where the store is empty.
  virtual Result<std::optional<std::uint32_t>> serial() = 0;

  // Everything, as of the last commit. An empty store has no RRsets.
  virtual Result<StoredZone> load() = 0;

  // Commits `transaction` atomically where the stored serial equals `expected`, or where nothing
  // is stored and `expected` is nothing (the import of a zone: one change set from 0, each `before`
  // empty). On success the data survives power loss. A conflict, or any other failure, changes
  // nothing. Rows are removed before rows are added.
  virtual Result<void> commit(std::optional<std::uint32_t> expected,
                              const Transaction& transaction) = 0;

  // The change sets that lead from `serial` to the stored version, oldest first. Nothing where the
  // journal does not reach back so far (it is bounded) or never knew the serial.
  virtual Result<std::optional<std::vector<ChangeSet>>> changes_since(std::uint32_t serial) = 0;

  // All that the journal holds, oldest first: what led to the stored version last.
  virtual Result<std::vector<ChangeSet>> recent_changes() = 0;
};

// Fills an empty store with a zone. Fails, changing nothing, where it is not empty or the records
// have no SOA.
Result<void> import_zone(ZoneStore& store, std::vector<OwnedRRset> rrsets);

}  // namespace mutua::authority
