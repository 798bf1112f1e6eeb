#include "authority/store/memory_store.h"

#include <algorithm>
#include <string>

namespace mutua::authority {
namespace {

std::string serial_text(const std::optional<std::uint32_t>& serial) {
  return serial ? std::to_string(*serial) : "empty";
}

}  // namespace

Result<std::optional<std::uint32_t>> MemoryStore::serial() { return serial_; }

Result<StoredZone> MemoryStore::load() {
  StoredZone zone;
  for (const auto& [key, rrset] : rrsets_) zone.rrsets.push_back({key.first, rrset});
  for (const auto& [owner, row] : leases_) zone.leases.push_back(row);
  for (const auto& [key, row] : replays_) zone.replays.push_back(row);
  return zone;
}

Result<void> MemoryStore::commit(std::optional<std::uint32_t> expected,
                                 const Transaction& transaction) {
  if (failing_commits_ > 0) {
    --failing_commits_;
    return Error("commit: the store was told to fail");
  }
  if (serial_ != expected) {
    return errorf("commit: conflict, expected serial %s, found %s", serial_text(expected).c_str(),
                  serial_text(serial_).c_str());
  }
  std::optional<std::uint32_t> at = serial_;
  for (const ChangeSet& change : transaction.changes) {
    if (at && change.from != *at) return Error("commit: the change sets do not follow one another");
    at = change.to;
  }
  for (const ChangeSet& change : transaction.changes) {
    for (const RRsetChange& one : change.changes) {
      if (one.after) {
        rrsets_[{one.owner, one.type}] = *one.after;
      } else {
        rrsets_.erase({one.owner, one.type});
      }
    }
    if (serial_) journal_.push_back(change);
  }
  while (journal_.size() > journal_limit_) journal_.pop_front();
  for (const wire::Name& owner : transaction.removed_leases) leases_.erase(owner);
  for (const LeaseRow& row : transaction.leases) leases_.insert_or_assign(row.owner, row);
  for (const ReplayRow& row : transaction.removed_replays) {
    replays_.erase({row.key, row.fingerprint});
  }
  for (const ReplayRow& row : transaction.replays) {
    replays_.insert_or_assign({row.key, row.fingerprint}, row);
  }
  serial_ = at;
  return {};
}

Result<std::optional<std::vector<ChangeSet>>> MemoryStore::changes_since(std::uint32_t serial) {
  using Changes = std::optional<std::vector<ChangeSet>>;
  if (serial_ == serial) return Changes(std::in_place);
  const auto first = std::find_if(journal_.begin(), journal_.end(),
                                  [&](const ChangeSet& change) { return change.from == serial; });
  if (first == journal_.end()) return Changes();
  return Changes(std::in_place, first, journal_.end());
}

}  // namespace mutua::authority
