#include "resolver/authorities/authorities.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/log.h"

namespace mutua::resolver {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kFirstAbsence{1}, kLongestAbsence{60};
constexpr seconds kBetweenLogs{60};

}  // namespace

// One question on its way through the servers.
struct Authorities::Question {
  Bytes query;
  Judge judge;
  Done done;
  std::vector<std::size_t> order;
  std::mutex mutex;             // guards the rest
  std::size_t next = 0;         // in `order`
  std::size_t outstanding = 0;  // asked, not heard of yet
  std::vector<bool> heard;      // by turn
  bool settled = false;
};

Authorities::Authorities(std::vector<Server> servers, Later later, const Clock& clock,
                         Patience patience)
    : servers_(std::move(servers)),
      later_(std::move(later)),
      clock_(clock),
      patience_(patience),
      health_(servers_.size()) {
  BASE_ASSERT(!servers_.empty());
}

std::vector<std::size_t> Authorities::order() const {
  const SteadyTime now = clock_.steady_now();
  std::vector<std::size_t> all(servers_.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  const std::lock_guard lock(mutex_);
  std::ranges::stable_sort(all, {}, [&](std::size_t i) { return health_[i].away_until > now; });
  return all;
}

milliseconds Authorities::patience_with(std::size_t server) const {
  const std::lock_guard lock(mutex_);
  const auto& rtt = health_[server].rtt;
  if (!rtt) return patience_.most;
  return std::clamp(std::chrono::ceil<milliseconds>(4 * *rtt), patience_.least, patience_.most);
}

void Authorities::ask(Bytes query, Judge judge, Done done) {
  auto question = std::make_shared<Question>();
  question->query = std::move(query);
  question->judge = std::move(judge);
  question->done = std::move(done);
  question->order = order();
  question->heard.resize(question->order.size());
  ask_next(question);
}

void Authorities::ask_next(const Shared& question) {
  std::size_t turn = 0;
  {
    const std::lock_guard lock(question->mutex);
    if (question->settled || question->next == question->order.size()) return;
    turn = question->next++;
    ++question->outstanding;
  }
  const std::size_t server = question->order[turn];
  auto heard = [this, question, turn, server,
                asked_at = clock_.steady_now()](Result<Bytes> octets) {
    {
      const std::lock_guard lock(question->mutex);
      question->heard[turn] = true;
    }
    take(question, server, asked_at, std::move(octets));
  };
  if (!send(server, question->query, heard)) return heard(Error("the end has come"));
  if (turn + 1 == question->order.size()) return;
  later_(patience_with(server),
         [this, question, turn, server] { stop_waiting(question, turn, server); });
}

bool Authorities::send(std::size_t server, const Bytes& query,
                       std::function<void(Result<Bytes>)> done) {
  ++asking_;
  const bool may_ask = !stopped_.load();
  if (may_ask) servers_[server].ask(query, std::move(done));
  --asking_;
  asking_.notify_all();
  return may_ask;
}

void Authorities::stop() {
  stopped_.store(true);
  for (unsigned count = asking_.load(); count != 0; count = asking_.load()) asking_.wait(count);
}

// The next one is asked too; whoever answers first has the word.
void Authorities::stop_waiting(const Shared& question, std::size_t turn, std::size_t server) {
  {
    const std::lock_guard lock(question->mutex);
    if (question->settled || question->heard[turn] || question->next != turn + 1) return;
  }
  note_failure(server, {wire::ExtendedError::network_error, "silent"});
  ask_next(question);
}

void Authorities::take(const Shared& question, std::size_t server, SteadyTime asked_at,
                       Result<Bytes> octets) {
  auto judged =
      octets
          ? question->judge(*octets)
          : ZoneAnswer(Flaw{wire::ExtendedError::no_reachable_authority, octets.error().message()});
  const Flaw* flaw = std::get_if<Flaw>(&judged);
  if (flaw) {
    if (!stopped_.load()) note_failure(server, *flaw);
  } else {
    note_answer(server, std::chrono::duration_cast<microseconds>(clock_.steady_now() - asked_at));
  }
  bool is_last = false;
  {
    const std::lock_guard lock(question->mutex);
    --question->outstanding;
    if (question->settled) return;
    is_last = question->next == question->order.size() && question->outstanding == 0;
    question->settled = !flaw || is_last;
  }
  if (!flaw) {
    question->done(Response{std::move(*octets), std::get<wire::Message>(std::move(judged))});
  } else if (is_last) {
    question->done(*flaw);
  } else {
    ask_next(question);
  }
}

void Authorities::note_answer(std::size_t server, microseconds rtt) {
  const std::lock_guard lock(mutex_);
  Health& health = health_[server];
  health.rtt = health.rtt ? (*health.rtt * 7 + rtt) / 8 : rtt;  // RFC 6298
  if (health.failures > 0)
    log::info("nameserver.back", {{"nameserver", servers_[server].address.to_text()}});
  health.state = Standing::State::answers;
  health.failures = 0;
  health.away_until = {};
  health.last_failure.clear();
}

void Authorities::note_failure(std::size_t server, const Flaw& flaw) {
  const std::lock_guard lock(mutex_);
  const SteadyTime now = clock_.steady_now();
  Health& health = health_[server];
  const bool is_new = health.failures == 0 || health.last_failure != flaw.text;
  health.state = Standing::State::away;
  health.last_failure = flaw.text;
  const auto absence = kFirstAbsence * (1 << std::min(health.failures++, 6u));
  health.away_until = now + std::min<seconds>(absence, kLongestAbsence);
  const bool may_log = health.logged_at == SteadyTime{} || now - health.logged_at >= kBetweenLogs;
  if (!is_new || !may_log) return;
  health.logged_at = now;
  log::warning("nameserver.not_used", {{"nameserver", servers_[server].address.to_text()},
                                       {"reason", static_cast<unsigned>(flaw.code)},
                                       {"cause", flaw.text}});
}

Ask pass_on_to(Authorities& servers) {
  return [&servers](Bytes query, std::function<void(Result<Bytes>)> done) {
    const auto asked = wire::parse(query);
    if (!asked || asked->question.size() != 1) return done(Error("pass on: not a question"));
    const auto judge = [question = asked->question.front()](BytesView octets) -> ZoneAnswer {
      auto answer = wire::parse(octets);
      if (!answer) return Flaw{wire::ExtendedError::invalid_data, answer.error().message()};
      if (answer->header.response && answer->question.size() == 1 &&
          answer->question.front() == question)
        return std::move(*answer);
      return Flaw{wire::ExtendedError::invalid_data, "an answer to another question"};
    };
    servers.ask(std::move(query), judge,
                [done = std::move(done)](std::variant<Authorities::Response, Flaw> answer) {
                  if (const auto* flaw = std::get_if<Flaw>(&answer)) return done(Error(flaw->text));
                  done(std::get<Authorities::Response>(std::move(answer)).octets);
                });
  };
}

std::vector<Authorities::Standing> Authorities::standings() const {
  const std::lock_guard lock(mutex_);
  std::vector<Standing> all;
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    const Health& health = health_[i];
    all.push_back({servers_[i].address, health.state, health.rtt, health.last_failure});
  }
  return all;
}

}  // namespace mutua::resolver
