#include "authority/update/lease_table.h"

namespace mutua::authority {

LeaseTable::LeaseTable(const std::vector<LeaseRow>& rows) {
  for (const LeaseRow& row : rows) put(row);
}

const LeaseRow* LeaseTable::find(const wire::Name& owner) const {
  const auto found = rows_.find(owner);
  return found == rows_.end() ? nullptr : &found->second;
}

std::vector<LeaseRow> LeaseTable::of_host(const wire::Name& host) const {
  std::vector<LeaseRow> rows;
  const auto owners = by_host_.find(host);
  if (owners == by_host_.end()) return rows;
  for (const wire::Name& owner : owners->second) rows.push_back(rows_.at(owner));
  return rows;
}

void LeaseTable::put(const LeaseRow& row) {
  remove(row.owner);
  rows_.emplace(row.owner, row);
  by_host_[row.host].insert(row.owner);
  by_time_.emplace(due_time(row), row.owner);
}

void LeaseTable::remove(const wire::Name& owner) {
  const auto found = rows_.find(owner);
  if (found == rows_.end()) return;
  by_time_.erase({due_time(found->second), found->second.owner});
  const auto host = by_host_.find(found->second.host);
  host->second.erase(found->second.owner);
  if (host->second.empty()) by_host_.erase(host);
  rows_.erase(found);
}

std::optional<WallTime> LeaseTable::next_due() const {
  if (by_time_.empty()) return std::nullopt;
  return by_time_.begin()->first;
}

std::vector<LeaseRow> LeaseTable::due(WallTime now, std::size_t limit) const {
  std::vector<LeaseRow> rows;
  for (const auto& [time, owner] : by_time_) {
    if (time > now || rows.size() >= limit) break;
    rows.push_back(rows_.at(owner));
  }
  return rows;
}

}  // namespace mutua::authority
