#include "authority/access/replay_guard.h"

#include <algorithm>

namespace mutua::authority {
namespace {

constexpr std::chrono::seconds kLongestMemory(3600);  // longer than any signature may be valid

}  // namespace

ReplayGuard::ReplayGuard(const std::vector<ReplayRow>& rows, Moment now) {
  Transaction already_stored;
  for (const ReplayRow& row : rows) remember(row, Monotonic::no, now, already_stored);
}

ReplayGuard::Verdict ReplayGuard::check(const ReplayRow& row, Monotonic monotonic) const {
  const auto memory = by_key_.find(row.key);
  if (memory != by_key_.end()) {
    if (memory->second.rows.contains(row.fingerprint)) return Verdict::replayed;
    if (monotonic == Monotonic::yes && row.signed_at < memory->second.newest) return Verdict::older;
  }
  return by_expiry_.size() >= kLargestSize ? Verdict::full : Verdict::fresh;
}

void ReplayGuard::remember(const ReplayRow& row, Monotonic monotonic, Moment now,
                           Transaction& transaction) {
  Memory& memory = by_key_[row.key];
  if (monotonic == Monotonic::yes && row.signed_at > memory.newest) {
    for (const auto& [fingerprint, older] : memory.rows) {
      by_expiry_.erase(expiry_of(older));
      std::erase(transaction.replays, older.row);  // remembered in this very transaction
      transaction.removed_replays.push_back(older.row);
    }
    memory.rows.clear();
  }
  memory.newest = std::max(memory.newest, row.signed_at);
  const Remembered one{
      row, now.steady + std::clamp(row.expiry - now.wall, std::chrono::seconds(0), kLongestMemory)};
  memory.rows.emplace(row.fingerprint, one);
  by_expiry_.insert(expiry_of(one));
  transaction.replays.push_back(row);
}

void ReplayGuard::follow(const Transaction& transaction, Moment now) {
  for (const ReplayRow& row : transaction.removed_replays) forget(row.key, row.fingerprint);
  Transaction already_stored;
  for (const ReplayRow& row : transaction.replays) {
    remember(row, Monotonic::no, now, already_stored);
  }
}

void ReplayGuard::forget(const trust::Digest& key, const trust::Digest& fingerprint) {
  const auto memory = by_key_.find(key);
  if (memory == by_key_.end()) return;
  const auto row = memory->second.rows.find(fingerprint);
  if (row == memory->second.rows.end()) return;
  by_expiry_.erase(expiry_of(row->second));
  memory->second.rows.erase(row);
  // A key without rows may be forgotten whole: a row lives as long as anything older could hold.
  if (memory->second.rows.empty()) by_key_.erase(memory);
}

void ReplayGuard::forget_expired(Moment now, Transaction& transaction) {
  while (!by_expiry_.empty() && std::get<0>(*by_expiry_.begin()) <= now.steady) {
    const auto [until, key, fingerprint] = *by_expiry_.begin();
    const ReplayRow row = by_key_.at(key).rows.at(fingerprint).row;
    if (row.expiry > now.wall) return;
    transaction.removed_replays.push_back(row);
    forget(key, fingerprint);
  }
}

}  // namespace mutua::authority
