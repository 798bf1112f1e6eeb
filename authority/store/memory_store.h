#pragma once

#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "authority/store/zone_store.h"

namespace mutua::authority {

// A store without durability, for tests and fuzzing: the same contract otherwise. It outlives the
// writer that uses it, so that a test may restart the writer over it.
class MemoryStore final : public ZoneStore {
 public:
  explicit MemoryStore(std::size_t journal_limit = 4096) : journal_limit_(journal_limit) {}

  Result<std::optional<std::uint32_t>> serial() override;
  Result<StoredZone> load() override;
  Result<void> commit(std::optional<std::uint32_t> expected,
                      const Transaction& transaction) override;
  Result<std::optional<std::vector<ChangeSet>>> changes_since(std::uint32_t serial) override;
  Result<std::vector<ChangeSet>> recent_changes() override {
    return std::vector<ChangeSet>(journal_.begin(), journal_.end());
  }

  // The next `count` commits fail and change nothing.
  void fail_commits(unsigned count) { failing_commits_ = count; }

 private:
  using ReplayKey = std::pair<trust::Digest, trust::Digest>;

  std::size_t journal_limit_;
  unsigned failing_commits_ = 0;
  std::optional<std::uint32_t> serial_;
  std::map<std::pair<wire::Name, wire::RRType>, RRset> rrsets_;
  std::map<wire::Name, LeaseRow> leases_;
  std::map<ReplayKey, ReplayRow> replays_;
  std::deque<ChangeSet> journal_;
};

}  // namespace mutua::authority
