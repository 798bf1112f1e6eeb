#pragma once

#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "authority/store/rows.h"
#include "wire/name.h"

namespace mutua::authority {

// Who holds which name by SRP, and until when. Follows the store's lease rows. One thread's.
class LeaseTable {
 public:
  LeaseTable() = default;
  explicit LeaseTable(const std::vector<LeaseRow>& rows);

  const LeaseRow* find(const wire::Name& owner) const;
  // The host's own row and those of its service instances.
  std::vector<LeaseRow> of_host(const wire::Name& host) const;

  void put(const LeaseRow& row);
  void remove(const wire::Name& owner);

  // When the next row lapses: its records, or the name itself where the records are gone already.
  std::optional<WallTime> next_due() const;
  // At most `limit` rows that are due at `now`, earliest first.
  std::vector<LeaseRow> due(WallTime now, std::size_t limit) const;

  std::size_t size() const { return rows_.size(); }

 private:
  static WallTime due_time(const LeaseRow& row) { return row.expiry.value_or(row.key_expiry); }

  std::unordered_map<wire::Name, LeaseRow> rows_;
  std::unordered_map<wire::Name, std::set<wire::Name>> by_host_;
  std::set<std::pair<WallTime, wire::Name>> by_time_;
};

}  // namespace mutua::authority
