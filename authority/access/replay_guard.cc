#include "authority/access/replay_guard.h"

#include <algorithm>

namespace mutua::authority {

ReplayGuard::ReplayGuard(const std::vector<ReplayRow>& rows) {
  Transaction already_stored;
  for (const ReplayRow& row : rows) remember(row, Monotonic::no, already_stored);
}

ReplayGuard::Verdict ReplayGuard::check(const ReplayRow& row, Monotonic monotonic) const {
  const auto memory = by_key_.find(row.key);
  if (memory != by_key_.end()) {
    if (memory->second.rows.contains(row.fingerprint)) return Verdict::replayed;
    if (monotonic == Monotonic::yes && row.signed_at < memory->second.newest) return Verdict::older;
  }
  return by_expiry_.size() >= kLargestSize ? Verdict::full : Verdict::fresh;
}

void ReplayGuard::remember(const ReplayRow& row, Monotonic monotonic, Transaction& transaction) {
  Memory& memory = by_key_[row.key];
  if (monotonic == Monotonic::yes && row.signed_at > memory.newest) {
    for (const auto& [fingerprint, older] : memory.rows) {
      by_expiry_.erase(expiry_of(older));
      std::erase(transaction.replays, older);  // remembered in this very transaction
      transaction.removed_replays.push_back(older);
    }
    memory.rows.clear();
  }
  memory.newest = std::max(memory.newest, row.signed_at);
  memory.rows.emplace(row.fingerprint, row);
  by_expiry_.insert(expiry_of(row));
  transaction.replays.push_back(row);
}

void ReplayGuard::follow(const Transaction& transaction) {
  for (const ReplayRow& row : transaction.removed_replays) forget(row);
  Transaction already_stored;
  for (const ReplayRow& row : transaction.replays) remember(row, Monotonic::no, already_stored);
}

void ReplayGuard::forget(const ReplayRow& row) {
  const auto memory = by_key_.find(row.key);
  if (memory == by_key_.end() || memory->second.rows.erase(row.fingerprint) == 0) return;
  by_expiry_.erase(expiry_of(row));
  // A key without rows may be forgotten whole: a row lives as long as anything older could hold.
  if (memory->second.rows.empty()) by_key_.erase(memory);
}

void ReplayGuard::forget_expired(WallTime now, Transaction& transaction) {
  while (!by_expiry_.empty() && std::get<0>(*by_expiry_.begin()) <= now) {
    const auto [expiry, key, fingerprint] = *by_expiry_.begin();
    transaction.removed_replays.push_back(by_key_.at(key).rows.at(fingerprint));
    forget(transaction.removed_replays.back());
  }
}

}  // namespace mutua::authority
