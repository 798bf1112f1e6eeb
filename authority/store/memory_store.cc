#include "authority/store/memory_store.h"

#include <utility>

namespace mutua::authority {

Result<std::optional<std::uint32_t>> MemoryStore::serial() { return content_->serial; }

Result<StoredZone> MemoryStore::load() {
  StoredZone zone;
  for (const auto& [key, rrset] : content_->rrsets) zone.rrsets.push_back({key.first, rrset});
  for (const auto& [owner, row] : content_->leases) zone.leases.push_back(row);
  for (const auto& [key, row] : content_->replays) zone.replays.push_back(row);
  zone.serial = content_->serial;
  position_ = content_->position;
  return zone;
}

Result<CommitOutcome> MemoryStore::commit(std::optional<std::uint32_t> expected,
                                          const Transaction& transaction) {
  if (before_commit_) std::exchange(before_commit_, {})();
  if (failing_commits_ > 0) {
    --failing_commits_;
    return Error("commit: the store was told to fail");
  }
  if (content_->serial != expected || content_->position != position_)
    return CommitOutcome::conflict;
  const auto at = TRY(serial_after(content_->serial, transaction));
  store(*content_, transaction);
  position_ = ++content_->position;
  // The import of a whole zone is no change that anybody could ask for.
  if (content_->serial) content_->journal.push_back(transaction);
  if (content_->journal.size() > journal_limit_) content_->journal.pop_front();
  content_->serial = at;
  return CommitOutcome::committed;
}

void MemoryStore::store(Content& content, const Transaction& transaction) {
  for (const ChangeSet& change : transaction.changes) {
    for (const RRsetChange& one : change.changes) {
      if (one.after) {
        content.rrsets[{one.owner, one.type}] = *one.after;
      } else {
        content.rrsets.erase({one.owner, one.type});
      }
    }
  }
  for (const wire::Name& owner : transaction.removed_leases) content.leases.erase(owner);
  for (const LeaseRow& row : transaction.leases) content.leases.insert_or_assign(row.owner, row);
  for (const ReplayRow& row : transaction.removed_replays)
    content.replays.erase({row.key, row.fingerprint});
  for (const ReplayRow& row : transaction.replays)
    content.replays.insert_or_assign({row.key, row.fingerprint}, row);
}

Result<News> MemoryStore::follow() {
  const std::uint64_t missing = content_->position - position_;
  if (missing > content_->journal.size()) return News();
  position_ = content_->position;
  return News(std::in_place, content_->journal.end() - static_cast<std::ptrdiff_t>(missing),
              content_->journal.end());
}

Result<News> MemoryStore::take_turn() {
  if (failing_turns_ == 0) return follow();
  --failing_turns_;
  return Error("take a turn: the store was told to fail");
}

Result<std::vector<ChangeSet>> MemoryStore::recent_changes() {
  std::vector<ChangeSet> changes;
  for (const Transaction& transaction : content_->journal)
    changes.insert(changes.end(), transaction.changes.begin(), transaction.changes.end());
  return changes;
}

}  // namespace mutua::authority
