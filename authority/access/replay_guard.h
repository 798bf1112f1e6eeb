#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "authority/store/rows.h"
#include "authority/store/zone_store.h"
#include "base/clock.h"
#include "trust/digest.h"

namespace mutua::authority {

// Whether the signing times of a key must not go back: yes for SIG(0) keys, which belong to one
// party; no for TSIG keys, which several clients share.
enum class Monotonic { no, yes };

// Remembers signed requests so that none is executed twice, also across restarts: every change of
// this memory goes into the transaction that executes the request. For a monotonic key only the
// requests of its newest second need remembering; older ones are refused by their time.
//
// A row is forgotten once it has expired by the wall clock and as much time has passed indeed: a
// wall clock that jumps ahead and back does not bring an old request to life.
class ReplayGuard {
 public:
  ReplayGuard() = default;
  ReplayGuard(const std::vector<ReplayRow>& rows, Moment now);

  enum class Verdict { fresh, replayed, older, full };
  Verdict check(const ReplayRow& row, Monotonic monotonic) const;

  // Remembers a request that check() found fresh.
  void remember(const ReplayRow& row, Monotonic monotonic, Moment now, Transaction& transaction);

  // Takes up what another authority has remembered and forgotten, in the order of a Transaction.
  void follow(const Transaction& transaction, Moment now);

  // Forgets the rows that have expired by both clocks.
  void forget_expired(Moment now, Transaction& transaction);

  std::size_t size() const { return by_expiry_.size(); }

 private:
  // About 300 MB of memory; reached only by executed requests, so long before it the store is busy.
  static constexpr std::size_t kLargestSize = 1'000'000;

  struct Remembered {
    ReplayRow row;
    SteadyTime until;  // at least
  };
  struct Memory {
    std::int64_t newest = 0;
    std::map<trust::Digest, Remembered> rows;  // by fingerprint
  };
  void forget(const trust::Digest& key, const trust::Digest& fingerprint);

  // By steady time; a wall clock behind it only makes the oldest wait for each other.
  using Expiry = std::tuple<SteadyTime, trust::Digest, trust::Digest>;
  static Expiry expiry_of(const Remembered& one) {
    return {one.until, one.row.key, one.row.fingerprint};
  }

  std::map<trust::Digest, Memory> by_key_;
  std::set<Expiry> by_expiry_;
};

}  // namespace mutua::authority
