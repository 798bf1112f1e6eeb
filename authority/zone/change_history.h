#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "authority/zone/change_set.h"

namespace mutua::authority {

// The change sets that led to the newest version, as far back as there is room: what secondaries
// that were here not long ago are sent (RFC 1995). Thread-safe; the mutex is held for an instant.
class ChangeHistory {
 public:
  using Path = std::vector<std::shared_ptr<const ChangeSet>>;

  // `most_changes`: RRset changes that are kept, in all change sets together; the newest change
  // set is kept whatever its size.
  explicit ChangeHistory(std::size_t most_changes = 100'000) : most_changes_(most_changes) {}

  // Adds what follows the newest. Where it does not follow, history begins anew with it.
  void add(ChangeSet change);

  // What leads from one serial to the other, oldest first; empty where they are the same. Nothing
  // where that is not known.
  std::optional<Path> path(std::uint32_t from, std::uint32_t to) const;

 private:
  const std::size_t most_changes_;

  mutable std::mutex mutex_;  // guards all below
  std::deque<std::shared_ptr<const ChangeSet>> changes_;
  std::size_t kept_ = 0;  // RRset changes
};

}  // namespace mutua::authority
