#include "peer/audit/auditor.h"

#include <algorithm>
#include <condition_variable>

#include "base/log.h"

namespace mutua::peer {
namespace {

// A peer that has not followed by then is served no more.
constexpr std::chrono::minutes kLongestRollOver{10};

}  // namespace

Auditor::Auditor(Settings settings, const Directory& directory, OwnerUpdates& updates)
    : settings_(std::move(settings)),
      directory_(directory),
      updates_(updates),
      thread_([this](std::stop_token stop) { loop(std::move(stop)); }) {}

void Auditor::loop(std::stop_token stop) {
  std::mutex sleeping;
  std::condition_variable_any wake;
  while (!stop.stop_requested()) {
    const auto reports = round(stop);
    if (!reports.ok() && !stop.stop_requested()) {
      log::warning("audit.failed",
                   {{"service", settings_.hostname}, {"reason", reports.error().message()}});
    }
    std::unique_lock lock(sleeping);
    wake.wait_for(lock, stop, settings_.every, [] { return false; });
  }
}

Result<std::vector<ReplicaReport>> Auditor::round(std::stop_token stop) {
  const std::lock_guard one_at_a_time(rounds_);
  const auto service = TRY(directory_.service(settings_.service));
  if (!service) return Error("audit " + settings_.hostname + ": nobody holds the name");
  const auto commitments = TRY(directory_.commitments(settings_.service, settings_.port, "tcp"));
  const auto served = TRY(directory_.served(settings_.service, settings_.port, "tcp"));
  std::vector<ReplicaReport> reports;
  for (const CommitmentRecord& commitment : commitments) {
    if (stop.stop_requested()) return Error("stopped");
    auto report = look_at(commitment, service->manifest, stop);
    if (!report.ok()) {
      log::warning("audit.skipped",
                   {{"peer", commitment.peer}, {"reason", report.error().message()}});
      continue;
    }
    report->served = std::ranges::any_of(
        served, [&](const auto& entry) { return entry.first == commitment.peer; });
    reports.push_back(std::move(*report));
  }
  look_after_roll_over(*service, commitments);
  // Histories of peers that are gone would pile up: they begin anew if they come back.
  std::erase_if(histories_, [&](const auto& entry) {
    return std::ranges::none_of(
        commitments, [&](const CommitmentRecord& one) { return one.peer == entry.first; });
  });
  const std::lock_guard lock(mutex_);
  last_reports_ = reports;
  return reports;
}

void Auditor::look_after_roll_over(const ServiceRecord& service,
                                   const std::vector<CommitmentRecord>& commitments) {
  if (!service.previous) return rolls_since_.reset();
  const auto now = std::chrono::steady_clock::now();
  if (!rolls_since_) rolls_since_ = now;
  const bool all_current = std::ranges::all_of(
      commitments, [&](const CommitmentRecord& one) { return one.manifest == service.manifest; });
  if (!all_current && now - *rolls_since_ < kLongestRollOver) return;
  const auto ended = updates_.end_roll_over(
      settings_.service,
      {service.manifest, service.previous, service.bases, service.ports, service.admission});
  if (ended.ok()) {
    log::info("roll_over.ended", {{"service", settings_.hostname}});
  } else {
    log::warning("roll_over.not_ended",
                 {{"service", settings_.hostname}, {"reason", ended.error().message()}});
  }
}

std::vector<ReplicaReport> Auditor::last_reports() const {
  const std::lock_guard lock(mutex_);
  return last_reports_;
}

Result<Standing> Auditor::standing_of(const std::string& peer) const {
  const wire::Name denial = TRY(denial_name(settings_.service, peer));
  if (TRY(directory_.exists(denial, wire::RRType::txt))) return Standing::denied;
  const wire::Name admission = TRY(admission_name(settings_.service, peer));
  const bool admitted = TRY(directory_.exists(admission, wire::RRType::txt));
  return admitted ? Standing::admitted : Standing::candidate;
}

Result<ReplicaReport> Auditor::look_at(const CommitmentRecord& commitment,
                                       const trust::Digest& current_manifest,
                                       std::stop_token stop) {
  ReplicaReport report;
  report.peer = commitment.peer;
  report.own = commitment.peer == settings_.owner;
  report.current = commitment.manifest == current_manifest;
  if (!commitment.addresses.empty()) report.address = commitment.addresses.front().to_text();
  report.standing = TRY(standing_of(commitment.peer));
  if (report.standing == Standing::denied) {
    report.detail = "denied before";
    return report;
  }
  if (!report.current) {
    report.detail = "has another manifest than the current one";
    return report;
  }
  const Finding finding = check(commitment, stop);
  if (stop.stop_requested()) return Error("stopped");
  report.outcome = finding.outcome;
  report.detail = finding.detail;
  histories_[commitment.peer].add(finding.outcome);
  act(report, finding);
  return report;
}

// The worst finding of all checks. A silent replica is not asked the rest.
Finding Auditor::check(const CommitmentRecord& commitment, std::stop_token stop) const {
  if (commitment.addresses.empty()) return {Outcome::unreachable, "it has no address", {}};
  Finding last;
  for (const Check& check : settings_.checks) {
    last =
        run_check(check, commitment.addresses.front(), settings_.hostname, settings_.timeout, stop);
    if (last.outcome == Outcome::passed) continue;
    last.detail = check.text + ": " + last.detail;
    return last;
  }
  return last;
}

void Auditor::act(ReplicaReport& report, const Finding& finding) {
  if (report.outcome != Outcome::passed) {
    log::warning("audit.finding", {{"service", settings_.hostname},
                                   {"peer", report.peer},
                                   {"outcome", to_string(report.outcome)},
                                   {"detail", report.detail}});
  }
  if (report.own) return;
  const Action action = decide(report.standing, histories_[report.peer]);
  const bool admits_by_check = settings_.admission == "audited";
  if (action == Action::none) return;
  if (!admits_by_check && action != Action::deny) return;
  Result<void> done;
  if (action == Action::admit) done = updates_.admit(settings_.service, report.peer);
  if (action == Action::suspend) done = updates_.suspend(settings_.service, report.peer);
  if (action == Action::deny) {
    done = updates_.deny(settings_.service, report.peer, "altered", finding.evidence);
  }
  report.action = action;
  if (!done.ok()) report.action_problem = done.error().message();
  log::info(done.ok() ? "audit.acted" : "audit.act_failed",
            {{"service", settings_.hostname},
             {"peer", report.peer},
             {"action", to_string(action)},
             {"reason", done.ok() ? report.detail : report.action_problem}});
}

}  // namespace mutua::peer
