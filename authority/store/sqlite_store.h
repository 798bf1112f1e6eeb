#pragma once

#include <filesystem>
#include <memory>

#include "authority/store/zone_store.h"
#include "wire/name.h"

namespace mutua::authority {

// A zone in one SQLite file: write-ahead log, an fsync at each commit (synchronous=FULL). One
// process at a time.
class SqliteStore final : public ZoneStore {
 public:
  // Opens or creates. Fails, naming the file, where it is no SQLite database, belongs to another
  // program, to another zone or to a newer schema, or where another process has it open.
  // `journal_limit`: change sets kept for recent_changes.
  static Result<std::unique_ptr<SqliteStore>> open(const std::filesystem::path& path,
                                                   const wire::Name& apex,
                                                   std::size_t journal_limit = 4096);
  ~SqliteStore() override;

  Result<std::optional<std::uint32_t>> serial() override;
  Result<StoredZone> load() override;
  Result<CommitOutcome> commit(std::optional<std::uint32_t> expected,
                               const Transaction& transaction) override;
  Result<std::vector<ChangeSet>> recent_changes() override;

 private:
  struct Database;
  explicit SqliteStore(std::unique_ptr<Database> database);
  Result<CommitOutcome> commit_at(std::optional<std::uint32_t> expected,
                                  const Transaction& transaction);

  std::unique_ptr<Database> database_;
};

}  // namespace mutua::authority
