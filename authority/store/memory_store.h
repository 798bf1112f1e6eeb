#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "authority/store/zone_store.h"

namespace mutua::authority {

// A store without durability, for tests and fuzzing: the same contract otherwise. It outlives the
// writer that uses it, so that a test may restart the writer over it. It can be shared, on one
// thread; a turn there keeps nobody out, so that whoever commits later finds a conflict.
class MemoryStore final : public ZoneStore {
 public:
  explicit MemoryStore(std::size_t journal_limit = 4096)
      : content_(std::make_shared<Content>()), journal_limit_(journal_limit) {}

  // Another authority's store, on the same content.
  MemoryStore another() const { return MemoryStore(content_, journal_limit_); }

  Result<std::optional<std::uint32_t>> serial() override;
  Result<StoredZone> load() override;
  Result<CommitOutcome> commit(std::optional<std::uint32_t> expected,
                               const Transaction& transaction) override;
  Result<News> follow() override;
  Result<News> take_turn() override;
  Result<std::vector<ChangeSet>> recent_changes() override;

  // The next `count` commits fail and change nothing.
  void fail_commits(unsigned count) { failing_commits_ = count; }
  // The next `count` turns are not given, as by a database that is away.
  void fail_turns(unsigned count) { failing_turns_ = count; }
  // Called at the beginning of the next commit, once.
  void before_commit(std::function<void()> action) { before_commit_ = std::move(action); }

 private:
  using ReplayKey = std::pair<trust::Digest, trust::Digest>;
  struct Content {
    std::optional<std::uint32_t> serial;
    std::map<std::pair<wire::Name, wire::RRType>, RRset> rrsets;
    std::map<wire::Name, LeaseRow> leases;
    std::map<ReplayKey, ReplayRow> replays;
    std::uint64_t position = 0;       // how many transactions there were
    std::deque<Transaction> journal;  // the last of them
  };

  MemoryStore(std::shared_ptr<Content> content, std::size_t journal_limit)
      : content_(std::move(content)), journal_limit_(journal_limit) {}

  static void store(Content& content, const Transaction& transaction);

  std::shared_ptr<Content> content_;
  std::size_t journal_limit_;
  std::uint64_t position_ = 0;  // how many of them the user has read
  unsigned failing_commits_ = 0, failing_turns_ = 0;
  std::function<void()> before_commit_;
};

}  // namespace mutua::authority
