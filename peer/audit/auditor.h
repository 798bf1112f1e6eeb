#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "peer/audit/check.h"
#include "peer/audit/run_check.h"
#include "peer/audit/verdict.h"
#include "peer/directory/directory.h"
#include "peer/registration/owner_updates.h"

namespace mutua::peer {

// What a round found out about one replica.
struct ReplicaReport {
  std::string peer;
  std::string address;                      // the first one, with the mapped port
  bool own = false;                         // the owner's: needs no admission and is never denied
  bool current = true;                      // commits to the current manifest; checked only then
  bool served = false;                      // in the served list before the round
  Standing standing = Standing::candidate;  // before the round
  Outcome outcome = Outcome::unreachable;
  std::string detail;
  Action action = Action::none;
  std::string action_problem;  // why the authority did not take it, else empty
};

// The owner's checks of the replicas of one service at its first TCP port: one round every
// `every`, from construction to destruction. It also ends a roll-over: when all replicas commit to
// the current manifest, or after ten minutes, the one before is served no more. What was decided
// stands in the zone (_admit, _deny), so a restart loses no verdict; the histories alone begin
// anew.
class Auditor {
 public:
  struct Settings {
    std::string hostname;
    wire::Name service;
    std::uint16_t port = 80;
    std::string owner;  // the owner's peer id
    std::string admission = "audited";
    std::vector<Check> checks;
    std::chrono::milliseconds every{10'000};
    std::chrono::milliseconds timeout{5'000};  // for one check of one replica
  };

  // `directory` and `updates` must outlive it.
  Auditor(Settings settings, const Directory& directory, OwnerUpdates& updates);

  // One round by hand. Waits for a scheduled one that is under way. Thread-safe.
  Result<std::vector<ReplicaReport>> round(std::stop_token stop = {});
  // What the last rounds left, without asking anybody. Thread-safe.
  std::vector<ReplicaReport> last_reports() const;

 private:
  void loop(std::stop_token stop);
  Result<Standing> standing_of(const std::string& peer) const;
  Result<ReplicaReport> look_at(const CommitmentRecord& commitment,
                                const trust::Digest& current_manifest, std::stop_token stop);
  Finding check(const CommitmentRecord& commitment, std::stop_token stop) const;
  void act(ReplicaReport& report, const Finding& finding);
  void look_after_roll_over(const ServiceRecord& service,
                            const std::vector<CommitmentRecord>& commitments);

  const Settings settings_;
  const Directory& directory_;
  OwnerUpdates& updates_;
  std::mutex rounds_;                         // one round at a time
  std::map<std::string, History> histories_;  // within a round
  // When a roll-over that goes on was seen first; within a round.
  std::optional<std::chrono::steady_clock::time_point> rolls_since_;
  mutable std::mutex mutex_;
  std::vector<ReplicaReport> last_reports_;
  std::jthread thread_;  // last: it uses everything above
};

}  // namespace mutua::peer
