#include "peer/registration/registrar.h"

#include <algorithm>

#include "base/log.h"
#include "trust/random.h"

namespace mutua::peer {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstRetry{500};

Registrar::Status failed(const std::string& problem, std::size_t commitments) {
  return {false, problem, commitments};
}

}  // namespace

Registrar::Registrar(UpdateClient& client, SrpMessages messages, std::chrono::seconds lease)
    : client_(client), messages_(std::move(messages)), lease_(lease) {}

Registrar::~Registrar() { stop(); }

void Registrar::start() {
  thread_ = std::thread([this] { loop(); });
}

void Registrar::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Registrar::stop_and_withdraw() {
  stop();
  const std::lock_guard one_at_a_time(sending_);
  const auto reply = send(messages_.registration(all_commitments(), Lease::remove));
  {
    const std::lock_guard lock(mutex_);
    commitments_.clear();
  }
  if (!reply.ok() || !reply->accepted()) {
    log::warning(
        "register.withdraw_failed",
        {{"reason", reply.ok() ? reply->to_error("withdraw").message() : reply.error().message()}});
  }
}

Result<UpdateReply> Registrar::send(Result<wire::Message> message) {
  if (!message.ok()) return message.error();
  return client_.send(*message, messages_.host_name());
}

std::vector<Commitment> Registrar::all_commitments() const {
  const std::lock_guard lock(mutex_);
  std::vector<Commitment> all;
  for (const auto& [key, commitment] : commitments_) all.push_back(commitment);
  return all;
}

Result<void> Registrar::commit(const Commitment& commitment) {
  const std::string operation =
      "commit " + commitment.service.to_text() + " port " + std::to_string(commitment.port);
  const std::lock_guard one_at_a_time(sending_);
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return Error(operation + ": the peer is shutting down");
  }
  const auto reply = send(messages_.commitment(commitment));
  if (!reply.ok()) return reply.error().in(operation);
  if (!reply->accepted()) return reply->to_error(operation);
  const std::lock_guard lock(mutex_);
  commitments_[{commitment.service, commitment.port, commitment.transport}] = commitment;
  problems_.erase(commitment.service);
  return {};
}

void Registrar::withdraw(const wire::Name& service) {
  const std::lock_guard one_at_a_time(sending_);
  std::vector<Commitment> ended;
  {
    const std::lock_guard lock(mutex_);
    problems_.erase(service);
    for (auto at = commitments_.begin(); at != commitments_.end();) {
      if (at->second.service != service) {
        ++at;
        continue;
      }
      ended.push_back(at->second);
      at = commitments_.erase(at);
    }
  }
  for (const Commitment& commitment : ended) {
    const auto reply = send(messages_.withdrawal(commitment));
    if (reply.ok() && reply->accepted()) continue;
    log::warning(
        "commitment.withdraw_failed",
        {{"service", service.to_text()},
         {"reason", reply.ok() ? reply->to_error("withdraw").message() : reply.error().message()}});
  }
}

Registrar::Status Registrar::status() const {
  const std::lock_guard lock(mutex_);
  Status status = status_;
  status.commitments = commitments_.size();
  return status;
}

std::string Registrar::problem_of(const wire::Name& service) const {
  const std::lock_guard lock(mutex_);
  const auto found = problems_.find(service);
  return found == problems_.end() ? std::string() : found->second;
}

void Registrar::loop() {
  for (;;) {
    const milliseconds pause = renew();
    std::unique_lock lock(mutex_);
    if (wake_.wait_for(lock, pause, [this] { return stopping_; })) return;
  }
}

// Sends everything, and says when to do so again.
milliseconds Registrar::renew() {
  const std::lock_guard one_at_a_time(sending_);
  const std::vector<Commitment> all = all_commitments();
  const auto reply = send(messages_.registration(all, Lease::renew));
  std::map<wire::Name, std::string> problems;
  std::string problem;
  if (!reply.ok()) {
    problem = reply.error().message();
  } else if (!reply->accepted()) {
    problem = reply->to_error("register").message();
    const auto host_alone = send(messages_.registration({}, Lease::renew));
    if (host_alone.ok() && host_alone->accepted()) problem.clear();
    for (const Commitment& commitment : all) {
      const auto alone = send(messages_.commitment(commitment));
      if (alone.ok() && alone->accepted()) continue;
      const std::string text =
          alone.ok() ? alone->to_error("renew").message() : alone.error().message();
      log::warning("commitment.refused",
                   {{"service", commitment.service.to_text()}, {"reason", text}});
      problems[commitment.service] = text;
    }
  }

  const std::lock_guard lock(mutex_);
  problems_ = std::move(problems);
  if (!problem.empty()) {
    log::warning("register.failed", {{"reason", problem}});
    status_ = failed(problem, commitments_.size());
    const auto longest = milliseconds(lease_) / 10;
    return std::min(longest, kFirstRetry * (1 << std::min(failures_++, 10U)));
  }
  if (!status_.registered) log::info("registered", {{"peer", messages_.peer()}});
  failures_ = 0;
  status_ = {true, "", commitments_.size()};
  // A shorter lease than was asked may have been granted.
  milliseconds granted = lease_;
  if (reply.ok() && reply->lease && *reply->lease > std::chrono::seconds(0)) {
    granted = std::min(granted, milliseconds(*reply->lease));
  }
  return granted * 80 / 100 + granted * (trust::random_u32() % 50) / 1000;
}

}  // namespace mutua::peer
