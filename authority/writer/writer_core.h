#pragma once

#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "authority/access/authenticate.h"
#include "authority/access/replay_guard.h"
#include "authority/access/source_limits.h"
#include "authority/dnssec/signer.h"
#include "authority/federation/federation_index.h"
#include "authority/store/zone_store.h"
#include "authority/update/apply.h"
#include "authority/update/lease_table.h"
#include "authority/writer/recent_answers.h"
#include "authority/writer/responder.h"
#include "authority/writer/writer.h"
#include "authority/zone/catalog.h"
#include "authority/zone/change_history.h"
#include "base/replaceable.h"

namespace mutua::authority {

// What the writer does, without its thread and queue. One thread at a time.
class WriterCore {
 public:
  WriterCore(ZoneStore& store, WriterConfig config, const Clock& clock);

  // Takes everything from the store, removes what expired, brings the served lists in line, commits
  // and publishes. Start-up and the way back after a failed commit.
  Result<void> recover();

  // Takes up what other authorities have written; then everything that is due, and these requests,
  // in one durable step; then publishes and replies. Where another authority's step comes first
  // after all, everything is decided anew, on the state that it led to.
  void process(std::vector<UpdateRequest> requests);

  // Any thread.
  void replace_tsig_keys(std::vector<wire::TsigKey> keys) { tsig_keys_.replace(std::move(keys)); }

  std::optional<WallTime> next_due() const;
  // There is more to be done at once, in portions, and the last one was written.
  bool is_to_go_on() const { return may_write_ && has_backlog(); }
  Catalog& catalog() { return *catalog_; }
  const ChangeHistory& history() const { return history_; }
  const SourceLimits& limits() const { return limits_; }
  const WriterCounters& counters() const { return counters_; }

 private:
  // All that follows from the store. Runs ahead of what is published while a group is worked on.
  struct State {
    std::shared_ptr<const ZoneVersion> version;
    LeaseTable leases;
    ReplayGuard replay_guard;
    FederationIndex index;
    std::optional<Signer> signer;  // where the zone has a key
  };
  struct Pending;
  struct Group {
    Transaction transaction;
    std::set<trust::Digest> keys;  // of the authenticated requests: their repetitions may follow
  };

  Moment now() const { return {clock_.wall_now(), clock_.steady_now()}; }
  // Leases are spans of time, whatever happens to the wall clock: a jump neither lets all of them
  // lapse at once nor keeps the dead alive. Counted from the wall clock of the start, which is what
  // the store's rows mean.
  WallTime lease_now() const;
  Result<State> load() const;
  Result<CommitOutcome> recover_once();
  Result<void> read_history();
  void try_to_recover();
  Result<void> pass_published_serial(Transaction& transaction);
  Result<void> refresh_served_lists(Transaction& transaction);
  Result<void> lapse_due(Transaction& transaction);
  void fail(const Error& error);

  bool has_work(const std::vector<UpdateRequest>& requests) const;
  bool catch_up(Result<News> news);
  Result<void> take_up(const Transaction& others, std::vector<ChangeSet>& published);
  std::optional<CommitOutcome> process_once(std::vector<UpdateRequest> requests,
                                            std::vector<Pending>& pending);

  Pending take(UpdateRequest request, Group& group);
  void execute(const AuthenticatedRequest& request, UpdateAnswer& answer, Transaction& transaction);
  std::optional<Refusal> try_execute(const AuthenticatedRequest& request, UpdateAnswer& answer,
                                     Transaction& transaction);
  Result<void> begin_signing(Transaction& transaction);
  Result<void> end_signing(Transaction& transaction);
  Result<void> sign_what_is_due(Transaction& transaction);
  void report_signing();
  void tend_keys();
  bool has_backlog() const;
  bool digest_is_due() const;
  Result<void> make_digest(Transaction& transaction);
  Result<ChangeSet> with_digest();
  ChangeSet sign(const ZoneVersion& base, const ZoneVersion& next, ChangeSet change,
                 const std::vector<wire::Name>& look_at);
  Result<void> take_up(ChangeSet change, Transaction& transaction,
                       const std::vector<wire::Name>& look_at = {});
  void take_up(LeaseChanges changes, Transaction& transaction);
  std::optional<CommitOutcome> commit(const Transaction& transaction, std::uint32_t expected);
  void publish(std::vector<ChangeSet> changes);
  void reply(std::vector<Pending> pending, bool committed);

  ZoneStore& store_;
  const WriterConfig config_;
  Replaceable<std::vector<wire::TsigKey>> tsig_keys_;
  std::shared_ptr<const std::vector<wire::TsigKey>>
      keys_of_group_;  // its answers are signed with them
  const Clock& clock_;
  const Moment started_;
  State state_;
  SourceLimits limits_;
  WriterCounters counters_;
  RecentAnswers recent_;
  std::unique_ptr<Catalog> catalog_;
  ChangeHistory history_;
  bool has_news_ = false;       // published, but nobody was told yet
  bool healthy_ = false;        // the state is the store's
  bool may_write_ = false;      // and nobody has written since
  bool store_is_away_ = false;  // as the last step found it
  SteadyTime next_recovery_{};
  SteadyTime next_key_tick_{}, next_digest_{};
  std::optional<SteadyTime> next_report_;  // while a backlog of signatures is worked on
};

}  // namespace mutua::authority
