#include "authority/writer/writer_core.h"

#include <algorithm>
#include <map>
#include <utility>

#include "authority/access/policy.h"
#include "authority/dnssec/unsign.h"
#include "authority/dnssec/zone_digest.h"
#include "authority/federation/derive.h"
#include "base/log.h"
#include "base/thread_scheduling.h"

namespace mutua::authority {
namespace {

constexpr std::size_t kLapsesAtOnce = 1000;   // one change set each
constexpr std::size_t kRenewalsAtOnce = 256;  // names: ten to twenty milliseconds of signing
constexpr std::chrono::seconds kRecoveryPause(1);
constexpr std::chrono::seconds kReportPause(1);
constexpr std::chrono::milliseconds kKeyPause(900);  // the writer wakes once a second, at least
// How often everything is decided anew because another authority was faster. With turns that is rare.
constexpr unsigned kMostAttempts = 4;

Refusal out_of_order() {
  return {wire::Rcode::servfail, wire::ExtendedError::other, "the zone could not be stored"};
}

// For a message that cannot be parsed further than its header.
wire::Message header_only(const wire::Header& header) {
  wire::Message message;
  message.header = header;
  return message;
}

std::string caller_text(const Caller& caller) {
  if (const auto* key_caller = std::get_if<KeyCaller>(&caller)) return key_caller->signer.to_text();
  return std::get<OperatorCaller>(caller).key_name.to_text();
}

}  // namespace

// A request on its way to its answer.
struct WriterCore::Pending {
  UpdateRequest request;
  std::optional<UpdateAnswer> answer;  // nothing: no answer, or `ready`
  Bytes ready;                         // the answer to a repetition
  std::optional<trust::Digest> key;    // set for authenticated requests: the answer is remembered
  bool depends_on_commit = false;
};

WriterCore::WriterCore(ZoneStore& store, WriterConfig config, const Clock& clock)
    : store_(store),
      config_(std::move(config)),
      tsig_keys_(config_.tsig_keys),
      clock_(clock),
      started_{clock.wall_now(), clock.steady_now()} {}

WallTime WriterCore::lease_now() const {
  return started_.wall +
         std::chrono::floor<std::chrono::seconds>(clock_.steady_now() - started_.steady);
}

std::optional<WallTime> WriterCore::next_due() const {
  auto lapse = state_.leases.next_due();
  if (lapse) *lapse += clock_.wall_now() - lease_now();
  const auto renewal = state_.signer ? state_.signer->next_due() : std::nullopt;
  if (!lapse || !renewal) return lapse ? lapse : renewal;
  return std::min(*lapse, *renewal);
}

Result<WriterCore::State> WriterCore::load() const {
  StoredZone stored = TRY(store_.load());
  if (stored.rrsets.empty()) return Error("load: the store holds no zone");
  const auto soa = std::ranges::find_if(
      stored.rrsets, [](const OwnedRRset& owned) { return owned.rrset.type == wire::RRType::soa; });
  if (soa == stored.rrsets.end()) return Error("load: the stored zone has no SOA");
  wire::Name apex = soa->owner;
  State state;
  state.version = TRY(ZoneVersion::create(std::move(apex), std::move(stored.rrsets)));
  if (stored.serial != state.version->serial())
    return Error("load: the stored serial is not the SOA's");
  state.leases = LeaseTable(stored.leases);
  state.replay_guard = ReplayGuard(stored.replays, now());
  state.index = FederationIndex(*state.version);
  if (config_.keys)
    state.signer.emplace(config_.keys->on_duty(), config_.signature_times, config_.denial);
  return state;
}

Result<void> WriterCore::recover() {
  healthy_ = false;
  for (unsigned attempt = 0; attempt < kMostAttempts; ++attempt)
    if (TRY(recover_once()) == CommitOutcome::committed) return {};
  return Error("recover: others kept changing the zone meanwhile");
}

// Without a turn: to sign a whole zone takes long.
Result<CommitOutcome> WriterCore::recover_once() {
  state_ = TRY(load());
  const std::uint32_t expected = state_.version->serial();
  TRY(read_history());
  Transaction transaction;
  TRY(pass_published_serial(transaction));
  TRY(state_.signer ? begin_signing(transaction) : end_signing(transaction));
  TRY(lapse_due(transaction));
  TRY(refresh_served_lists(transaction));
  state_.replay_guard.forget_expired(now(), transaction);
  if (!transaction.empty() && TRY(store_.commit(expected, transaction)) == CommitOutcome::conflict)
    return CommitOutcome::conflict;
  healthy_ = true;
  publish(std::move(transaction.changes));
  log::info("zone.loaded", {{"zone", state_.version->apex().to_text()},
                            {"serial", state_.version->serial()},
                            {"rrsets", state_.version->rrset_count()},
                            {"leases", state_.leases.size()}});
  return CommitOutcome::committed;
}

// What led to the loaded version, from the published one on where there is one.
Result<void> WriterCore::read_history() {
  auto changes = TRY(store_.recent_changes());
  auto next = changes.begin();
  if (catalog_) next = std::ranges::find(changes, catalog_->current()->serial(), &ChangeSet::from);
  for (; next != changes.end(); ++next) {
    const bool is_last = next->to == state_.version->serial();
    history_.add(std::move(*next));
    if (is_last) break;  // what others have written since comes as news
  }
  return {};
}

// A database that lost what only it had, and nobody was told of as done, may be behind what was
// published from it. Secondaries have that serial, so ours goes past it.
Result<void> WriterCore::pass_published_serial(Transaction& transaction) {
  if (!catalog_) return {};
  const std::uint32_t published = catalog_->current()->serial();
  if (!wire::serial_after(published, state_.version->serial())) return {};
  log::error("zone.went_back", {{"published", published}, {"stored", state_.version->serial()}});
  const wire::Name& apex = state_.version->apex();
  const auto present = state_.version->find(apex, wire::RRType::soa);
  wire::Soa soa = TRY(wire::parse_soa(present->rdatas.front()));
  soa.serial = published + 1;
  ZoneDraft draft(*state_.version);
  draft.replace(apex, {wire::RRType::soa, present->ttl, {wire::make_soa(soa)}});
  return take_up(draft.finish(), transaction);
}

// The operator's policy may have changed since the lists were derived.
Result<void> WriterCore::refresh_served_lists(Transaction& transaction) {
  std::vector<FederationIndex::Touched> all;
  for (wire::Name& service : state_.index.all_services())
    all.push_back({std::move(service), {}, true});
  auto changes = derive(*state_.version, state_.index, config_.federation, all);
  if (changes.empty()) return {};
  ZoneDraft draft(*state_.version);
  for (RRsetChange& change : changes) {
    if (change.after) {
      draft.replace(change.owner, *std::move(change.after));
    } else {
      draft.remove(change.owner, change.type);
    }
  }
  return take_up(draft.finish(), transaction);
}

Result<void> WriterCore::lapse_due(Transaction& transaction) {
  const WallTime now = lease_now();
  while (true) {
    const auto due = state_.leases.due(now, kLapsesAtOnce);
    if (due.empty()) return {};
    ZoneDraft draft(*state_.version);
    LeaseChanges leases;
    lapse(due, now, draft, leases);
    TRY(take_up(draft.finish(), transaction));
    take_up(std::move(leases), transaction);
    log::info("lease.lapsed", {{"names", due.size()}, {"first", due.front().owner.to_text()}});
  }
}

bool WriterCore::has_backlog() const {
  return healthy_ && !store_is_away_ && state_.signer && state_.signer->has_backlog();
}

// The first portion at once, so that a small zone is signed before anybody sees it.
Result<void> WriterCore::begin_signing(Transaction& transaction) {
  if (!Signer::can_take_over(*state_.version))
    return errorf(
        "%s was signed elsewhere, with a chain of NSEC3 with salt or iterations: take the "
        "signatures out first, with dnssec = remove",
        state_.version->apex().to_text().c_str());
  state_.signer->look_through(*state_.version, clock_.wall_now());
  return sign_what_is_due(transaction);
}

Result<void> WriterCore::end_signing(Transaction& transaction) {
  if (config_.without_keys == WithoutKeys::keep || !has_dnssec_records(*state_.version)) return {};
  const std::string zone = state_.version->apex().to_text();
  if (config_.without_keys == WithoutKeys::refuse)
    return errorf(
        "%s is signed, but no dnssec_keys are configured: its signatures would go stale. Name "
        "them; or, once the DS has been gone from the zone above for its TTL, say dnssec = remove; "
        "or dnssec = keep where the zone was signed elsewhere and does not change here",
        zone.c_str());
  ZoneDraft draft(*state_.version);
  for (const RRsetChange& change : remove_dnssec_records(*state_.version))
    draft.remove(change.owner, change.type);
  TRY(take_up(draft.finish(), transaction));
  log::info("dnssec.removed", {{"zone", zone}, {"serial", state_.version->serial()}});
  return {};
}

// One step of the zone in which nothing but the serial and signatures changes.
Result<void> WriterCore::sign_what_is_due(Transaction& transaction) {
  if (!state_.signer) return {};
  const auto names = state_.signer->take_due(*state_.version, clock_.wall_now(), kRenewalsAtOnce);
  if (names.empty()) return {};
  ZoneDraft draft(*state_.version);
  draft.raise_serial();
  TRY(take_up(draft.finish(), transaction, names));
  report_signing();
  return {};
}

// On the version that is stored and published: what the keepers of caches can have seen.
void WriterCore::tend_keys() {
  const SteadyTime now = clock_.steady_now();
  if (!state_.signer || now < next_key_tick_) return;
  next_key_tick_ = now + kKeyPause;
  if (!config_.keys->tick(*state_.version, !state_.signer->has_backlog())) return;
  state_.signer->set_keys(config_.keys->on_duty());
  state_.signer->look_through(*state_.version, clock_.wall_now());
}

bool WriterCore::digest_is_due() const {
  return config_.digest_pause && healthy_ && !has_backlog() &&
         clock_.steady_now() >= next_digest_ &&
         !state_.version->find(state_.version->apex(), wire::RRType::zonemd);
}

// A digest costs as much as the whole zone is large. However short the configured pause, at most a
// twentieth of the writer's time goes into digests.
Result<void> WriterCore::make_digest(Transaction& transaction) {
  constexpr int kLargestShare = 20;
  const SteadyTime begin = clock_.steady_now();
  ChangeSet change = TRY(with_digest());
  state_.version = TRY(state_.version->apply(change));
  transaction.changes.push_back(std::move(change));
  const auto cost = std::chrono::ceil<std::chrono::milliseconds>(clock_.steady_now() - begin);
  next_digest_ = clock_.steady_now() + std::max(*config_.digest_pause, kLargestShare * cost);
  log::info("zonemd.made", {{"zone", state_.version->apex().to_text()},
                            {"serial", state_.version->serial()},
                            {"milliseconds", cost.count()}});
  return {};
}

// One step with nothing but a new serial and its digest. The digest covers the signatures of that
// step, all but its own: at first a placeholder stands there, so that everything else is final.
Result<ChangeSet> WriterCore::with_digest() {
  const ZoneVersion& base = *state_.version;
  const wire::Name& apex = base.apex();
  ZoneDraft draft(base);
  draft.raise_serial();
  ChangeSet change = draft.finish();
  const auto raised = TRY(base.apply(change));
  change.changes.push_back({apex, wire::RRType::zonemd, std::nullopt,
                            make_zonemd(*raised, Bytes(trust::Sha384::kSize))});
  const auto unsigned_step = TRY(base.apply(change));
  change = sign(base, *unsigned_step, std::move(change), {});
  const auto held = TRY(base.apply(change));  // final, but for the digest and its signature
  ChangeSet last{change.to, change.to, {}};
  last.changes.push_back({apex, wire::RRType::zonemd, *held->find(apex, wire::RRType::zonemd),
                          make_zonemd(*held, zone_digest(*held))});
  const auto digested = TRY(held->apply(last));
  last = sign(*held, *digested, std::move(last), {});
  return combine(std::move(change), std::move(last.changes));
}

void WriterCore::report_signing() {
  const auto [done, total] = state_.signer->progress();
  const SteadyTime now = clock_.steady_now();
  if (total == 0 || (state_.signer->has_backlog() && next_report_ && now < *next_report_)) return;
  next_report_ = now + kReportPause;
  log::info("dnssec.signing", {{"zone", state_.version->apex().to_text()},
                               {"serial", state_.version->serial()},
                               {"count", done},
                               {"total", total}});
}

void WriterCore::fail(const Error& error) {
  log::error("zone.write_failed", {{"error", error.message()}});
  healthy_ = may_write_ = false;
}

// A store that fails goes on failing for a while, and taking a whole zone from it is not cheap.
void WriterCore::try_to_recover() {
  if (clock_.steady_now() < next_recovery_) return;
  auto recovered = recover();
  if (recovered.ok()) return;
  fail(recovered.error());
  next_recovery_ = clock_.steady_now() + kRecoveryPause;
}

void WriterCore::process(std::vector<UpdateRequest> requests) {
  keys_of_group_ = tsig_keys_.get();
  std::vector<Pending> pending;
  auto outcome = process_once(std::move(requests), pending);
  for (unsigned attempt = 1; outcome == CommitOutcome::conflict && attempt < kMostAttempts;
       ++attempt) {
    std::vector<UpdateRequest> again;
    for (Pending& one : pending) again.push_back(std::move(one.request));
    pending.clear();
    outcome = process_once(std::move(again), pending);
  }
  counters_.signature_checks.add(limits_.checks() - counters_.signature_checks.value());
  reply(std::move(pending), outcome == CommitOutcome::committed);
  catalog_->reclaim();  // nobody waits for it any more
  if (std::exchange(has_news_, false) && config_.published) config_.published();
}

// Everything up to the commit; nothing where that failed, or where nothing could be written.
std::optional<CommitOutcome> WriterCore::process_once(std::vector<UpdateRequest> requests,
                                                      std::vector<Pending>& pending) {
  if (!healthy_) try_to_recover();
  const bool is_to_write = has_work(requests);
  may_write_ =
      healthy_ && catch_up(is_to_write ? store_.take_turn() : store_.follow()) && is_to_write;
  if (healthy_) tend_keys();
  Group group;
  const std::uint32_t expected = healthy_ ? state_.version->serial() : 0;
  if (may_write_) {
    if (auto lapsed = lapse_due(group.transaction); !lapsed.ok()) fail(lapsed.error());
  }
  if (may_write_) {
    if (auto done = sign_what_is_due(group.transaction); !done.ok()) fail(done.error());
  }
  if (may_write_ && requests.empty() && digest_is_due()) {
    if (auto done = make_digest(group.transaction); !done.ok()) fail(done.error());
  }
  for (UpdateRequest& request : requests) pending.push_back(take(std::move(request), group));
  const auto outcome = may_write_ ? commit(group.transaction, expected) : std::nullopt;
  store_.end_turn();
  return outcome;
}

bool WriterCore::has_work(const std::vector<UpdateRequest>& requests) const {
  const auto due = next_due();
  return !requests.empty() || (due && *due <= clock_.wall_now()) || has_backlog() ||
         digest_is_due();
}

// False where the state is not the store's now. A store that is away leaves the state as it is.
bool WriterCore::catch_up(Result<News> news) {
  if (store_is_away_ != !news.ok()) {
    store_is_away_ = !news.ok();
    if (news.ok())
      log::info("store.back");
    else
      log::warning("store.away", {{"error", news.error().message()}});
  }
  if (!news.ok()) return false;
  if (!*news) {
    fail(Error("what others have written is more than the journal holds, or not what it was"));
    return false;
  }
  std::vector<ChangeSet> changes;
  for (const Transaction& transaction : **news) {
    if (auto taken = take_up(transaction, changes); !taken.ok()) {
      fail(taken.error());
      return false;
    }
  }
  if (!changes.empty()) publish(std::move(changes));
  return true;
}

// Just as it was decided: the lists are derived and the signatures made already.
Result<void> WriterCore::take_up(const Transaction& others, std::vector<ChangeSet>& published) {
  for (const ChangeSet& change : others.changes) {
    auto next = TRY(state_.version->apply(change, Renewal::later));
    (void)state_.index.follow(change, *next);
    if (state_.signer) state_.signer->watch(change, clock_.wall_now());
    state_.version = std::move(next);
    published.push_back(change);
  }
  for (const wire::Name& owner : others.removed_leases) state_.leases.remove(owner);
  for (const LeaseRow& row : others.leases) state_.leases.put(row);
  state_.replay_guard.follow(others, now());
  return {};
}

std::optional<CommitOutcome> WriterCore::commit(const Transaction& so_far, std::uint32_t expected) {
  if (so_far.empty()) return CommitOutcome::committed;
  Transaction transaction = so_far;
  state_.replay_guard.forget_expired(now(), transaction);
  const auto begun = std::chrono::steady_clock::now();
  auto stored = store_.commit(expected, transaction);
  if (!stored.ok()) {
    counters_.commit_failures.add(1);
    fail(stored.error());
    return std::nullopt;
  }
  if (*stored == CommitOutcome::conflict) {
    log::info("zone.conflict", {{"zone", state_.version->apex().to_text()}, {"serial", expected}});
    healthy_ = may_write_ = false;
    return stored.value();
  }
  counters_.commits.add(1);
  counters_.commit_microseconds.add(
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                     std::chrono::steady_clock::now() - begun)
                                     .count()));
  // Durable before visible. A crash here loses nothing: recover() publishes the same version.
  if (!transaction.changes.empty()) publish(std::move(transaction.changes));
  return stored.value();
}

// History first, so that it reaches every version that anybody can see.
void WriterCore::publish(std::vector<ChangeSet> changes) {
  if (!state_.version->is_renewed()) state_.version = state_.version->renewed();
  for (ChangeSet& change : changes) history_.add(std::move(change));
  if (!catalog_) {
    catalog_ = std::make_unique<Catalog>(state_.version);
    return;
  }
  catalog_->publish(state_.version);
  has_news_ = true;
}

void WriterCore::reply(std::vector<Pending> pending, bool committed) {
  std::map<trust::Digest, Bytes> answered;  // repetitions may lie in the same group
  for (Pending& one : pending) {
    Bytes bytes = std::move(one.ready);
    const auto earlier = one.key ? answered.find(*one.key) : answered.end();
    if (earlier != answered.end()) {
      bytes = earlier->second;
    } else if (one.answer) {
      if (!committed && one.depends_on_commit) one.answer->refusal = out_of_order();
      bytes = render(*one.answer);
      if (one.key) answered.emplace(*one.key, bytes);
      if (one.key && committed) recent_.remember(*one.key, bytes, clock_.steady_now());
    }
    one.request.reply(std::move(bytes));
    give_way();
  }
}

WriterCore::Pending WriterCore::take(UpdateRequest update, Group& group) {
  Pending pending{std::move(update), std::nullopt, {}, std::nullopt, false};
  const BytesView bytes = pending.request.message;
  const auto header = wire::parse_header(bytes);
  // An answer to a response could start a loop between two servers.
  if (!header || header->response) return pending;
  const auto key = RecentAnswers::key_of(bytes, pending.request.source, pending.request.tcp);
  if (const Bytes* before = recent_.find(key, clock_.steady_now())) {
    pending.ready = *before;
    counters_.repeated.add(1);
    return pending;
  }
  if (group.keys.contains(key)) {
    pending.key = key;
    return pending;
  }
  UpdateAnswer& answer = pending.answer.emplace();
  auto message = wire::parse(bytes);
  if (!message.ok()) {
    answer.request = header_only(*header);
    answer.refusal = Refusal{wire::Rcode::formerr, wire::ExtendedError::other, {}};
    return pending;
  }
  answer.request = *message;
  if (message->header.opcode != wire::Opcode::update) {
    answer.refusal = Refusal{wire::Rcode::notimp, wire::ExtendedError::not_supported, {}};
  } else if (message->edns && message->edns->version != 0) {
    answer.refusal = Refusal{wire::Rcode::badvers, wire::ExtendedError::other, {}};
  } else if (!may_write_) {
    answer.refusal = out_of_order();
  }
  if (answer.refusal) return pending;

  const AuthenticationContext context{*keys_of_group_, *state_.version,   state_.replay_guard,
                                      limits_,         clock_.wall_now(), clock_.steady_now()};
  auto checked = authenticate(
      {bytes, *std::move(message), pending.request.source, pending.request.tcp}, context);
  give_way();
  if (auto* stranger = std::get_if<Unauthenticated>(&checked)) {
    // Quietly: anybody can make these as fast as the line allows.
    log::debug("update.unauthenticated",
               {{"source", pending.request.source.to_text()}, {"reason", stranger->refusal.text}});
    counters_.unauthenticated.add(1);
    answer.refusal = std::move(stranger->refusal);
    answer.signature = std::move(stranger->signature);
    return pending;
  }
  pending.key = key;
  group.keys.insert(key);
  pending.depends_on_commit = true;
  execute(std::get<AuthenticatedRequest>(checked), answer, group.transaction);
  return pending;
}

void WriterCore::execute(const AuthenticatedRequest& request, UpdateAnswer& answer,
                         Transaction& transaction) {
  answer.signature = request.response_signature();
  answer.refusal = try_execute(request, answer, transaction);
  (answer.refusal ? counters_.refused : counters_.executed).add(1);
  if (answer.refusal) {
    log::info("update.refused", {{"caller", caller_text(request.caller())},
                                 {"rcode", to_text(answer.refusal->rcode)},
                                 {"reason", answer.refusal->text}});
    // A refused request of a known key must not succeed later as a copy. A stranger's leaves no
    // trace: keys cost nothing, storage does.
    const auto* key_caller = std::get_if<KeyCaller>(&request.caller());
    if (key_caller && !key_caller->in_zone) return;
  }
  state_.replay_guard.remember(request.replay(), request.monotonic(), now(), transaction);
}

std::optional<Refusal> WriterCore::try_execute(const AuthenticatedRequest& request,
                                               UpdateAnswer& answer, Transaction& transaction) {
  auto permitted = permit(request, *state_.version);
  if (auto* refusal = std::get_if<Refusal>(&permitted)) return std::move(*refusal);
  auto outcome = apply_update(std::get<PermittedUpdate>(permitted), *state_.version, state_.leases,
                              lease_now());
  if (auto* refusal = std::get_if<Refusal>(&outcome)) return std::move(*refusal);
  auto& applied = std::get<Applied>(outcome);
  if (auto taken = take_up(std::move(applied.change), transaction); !taken.ok()) {
    fail(taken.error());
    return out_of_order();
  }
  take_up(std::move(applied.leases), transaction);
  answer.granted = applied.granted;
  log::debug("update.applied",
             {{"caller", caller_text(request.caller())}, {"serial", state_.version->serial()}});
  return std::nullopt;
}

// The change, the served lists that follow from it, and all signatures become one step of the zone.
Result<void> WriterCore::take_up(ChangeSet change, Transaction& transaction,
                                 const std::vector<wire::Name>& look_at) {
  if (change.empty()) return {};
  auto next = TRY(state_.version->apply(change, Renewal::later));
  const auto touched = state_.index.follow(change, *next);
  auto derived = derive(*next, state_.index, config_.federation, touched);
  if (!derived.empty()) {
    change = combine(std::move(change), std::move(derived));
    next = TRY(state_.version->apply(change, Renewal::later));
  }
  // A digest of what the zone was would only mislead.
  if (const auto digest = state_.version->find(next->apex(), wire::RRType::zonemd)) {
    change =
        combine(std::move(change), {{next->apex(), wire::RRType::zonemd, *digest, std::nullopt}});
    next = TRY(state_.version->apply(change, Renewal::later));
  }
  if (state_.signer) {
    change = sign(*state_.version, *next, std::move(change), look_at);
    next = TRY(state_.version->apply(change, Renewal::later));
  }
  state_.version = std::move(next);
  transaction.changes.push_back(std::move(change));
  give_way();
  return {};
}

// The change that led from `base` to `next`, and what it takes that the zone is signed then.
ChangeSet WriterCore::sign(const ZoneVersion& base, const ZoneVersion& next, ChangeSet change,
                           const std::vector<wire::Name>& look_at) {
  if (!state_.signer) return change;
  auto made = state_.signer->sign(base, next, change, look_at, clock_.wall_now());
  return combine(std::move(change), std::move(made));
}

void WriterCore::take_up(LeaseChanges changes, Transaction& transaction) {
  for (wire::Name& owner : changes.removed) {
    state_.leases.remove(owner);
    // The store removes rows before it adds rows: an earlier row of this group must not return.
    std::erase_if(transaction.leases, [&](const LeaseRow& row) { return row.owner == owner; });
    transaction.removed_leases.push_back(std::move(owner));
  }
  for (LeaseRow& row : changes.put) {
    state_.leases.put(row);
    transaction.leases.push_back(std::move(row));
  }
}

}  // namespace mutua::authority
