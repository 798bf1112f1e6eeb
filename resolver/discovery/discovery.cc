#include "resolver/discovery/discovery.h"

#include <atomic>

namespace mutua::resolver {
namespace {

constexpr std::chrono::milliseconds kYoungEnough{500};
constexpr std::chrono::milliseconds kClientPatience{1800};  // with a stale answer at hand
// A list of targets whose addresses do not come along must not make us a cannon (NXNSAttack): with the
// question for the list, 63 at most.
constexpr std::size_t kMostHostsAsked = 31;

// Why the authority could not say.
Error error_of(const Flaw& flaw) {
  return Error(flaw.text + " (" + wire::to_text(flaw.code) + ")");
}

}  // namespace

Result<wire::Name> service_owner(const wire::Name& host, ServicePort port) {
  const auto transport = TRY(host.child(port.transport == Transport::tcp ? "_tcp" : "_udp"));
  return transport.child("_" + std::to_string(port.port));
}

Discovery::Discovery(DiscoverySettings settings, AskZone authority, const Clock& clock)
    : settings_(std::move(settings)),
      authority_(std::move(authority)),
      clock_(clock),
      descriptions_(settings_.cached_names, settings_.stale_for),
      served_(settings_.cached_names, settings_.stale_for) {}

bool Discovery::is_concerned(const wire::Name& name) const {
  if (settings_.lookaside == Lookaside::yes || name.is_at_or_below(settings_.zone)) return true;
  return settings_.lookaside == Lookaside::listed && settings_.is_listed(name);
}

template <typename Value, typename AskIt>
void Discovery::answer_or_ask(Kind<Value>& kind, const wire::Name& name, Freshness freshness,
                              typename Kind<Value>::Done done, AskIt ask_it) {
  using Found = typename AnswerCache<Value>::Found;
  Found found{std::nullopt, true};
  bool stale_at_hand = false;
  {
    const std::lock_guard lock(mutex_);
    const SteadyTime now = clock_.steady_now();
    if (freshness == Freshness::cached || kind.cache.is_younger(name, kYoungEnough, now)) {
      found = kind.cache.find(name, now);
    }
    auto waiting = kind.waiting.find(name);
    if (waiting == kind.waiting.end() && found.ask) {
      if (kind.waiting.size() < settings_.questions_in_flight) {
        waiting = kind.waiting.try_emplace(name).first;
        ++questions_;
      } else if (!found.answer) {
        found = {Error("ask " + name.to_text() + ": too many questions in flight"), false};
      }
    } else {
      found.ask = false;  // somebody has asked already
    }
    if (!found.answer && waiting->second.size() < settings_.waiting_for_one) {
      waiting->second.push_back(std::move(done));
      stale_at_hand = kind.cache.find_stale(name, now).has_value();
    } else if (!found.answer) {
      found.answer.emplace(Error("ask " + name.to_text() + ": too many wait for this answer"));
    }
  }
  if (found.answer) done(std::move(*found.answer));
  if (found.ask) ask_it();
  if (stale_at_hand && settings_.later) {
    settings_.later(kClientPatience, [this, &kind, name] { stop_waiting(kind, name); });
  }
}

// Those who wait get the stale answer; the question goes on.
template <typename Value>
void Discovery::stop_waiting(Kind<Value>& kind, const wire::Name& name) {
  std::vector<typename Kind<Value>::Done> waiting;
  std::optional<std::shared_ptr<const Value>> stale;
  {
    const std::lock_guard lock(mutex_);
    const auto all = kind.waiting.find(name);
    stale = kind.cache.find_stale(name, clock_.steady_now());
    if (all == kind.waiting.end() || !stale) return;
    waiting.swap(all->second);
  }
  for (auto& done : waiting) done(*stale);
}

template <typename Value>
void Discovery::settle(Kind<Value>& kind, const wire::Name& name, Result<Timed<Value>> said) {
  std::vector<typename Kind<Value>::Done> waiting;
  std::optional<Result<std::shared_ptr<const Value>>> answer;
  {
    const std::lock_guard lock(mutex_);
    const SteadyTime now = clock_.steady_now();
    if (!said) ++failures_;
    answer = said ? kind.cache.store(name, std::move(*said), now, settings_.heard_at(now))
                  : kind.cache.store_failure(name, said.error(), now);
    auto all = kind.waiting.extract(name);
    if (!all.empty()) waiting = std::move(all.mapped());
  }
  for (auto& done : waiting) done(*answer);
}

void Discovery::ask(const wire::Name& name, wire::RRType type,
                    std::function<void(Result<wire::Message>)> done) {
  authority_({name, type, wire::RRClass::in}, [done = std::move(done)](ZoneAnswer answer) {
    if (const auto* flaw = std::get_if<Flaw>(&answer)) return done(error_of(*flaw));
    done(std::get<wire::Message>(std::move(answer)));
  });
}

void Discovery::describe(const wire::Name& name,
                         std::function<void(Result<SharedDescription>)> done) {
  const auto asked = asked_name(name);
  if (!is_concerned(name) || !asked) {
    static const auto not_held = std::make_shared<const Description>();
    return done(not_held);
  }
  answer_or_ask(descriptions_, name, Freshness::cached, std::move(done),
                [&] { ask_description(name, *asked); });
}

Result<wire::Name> Discovery::asked_name(const wire::Name& name) const {
  if (!settings_.asks_inside_only || name.is_at_or_below(settings_.zone)) return name;
  return name.under(TRY(settings_.zone.child("lookaside")));
}

void Discovery::ask_description(const wire::Name& name, const wire::Name& asked) {
  ask(asked, wire::RRType::txt, [this, name, asked](Result<wire::Message> response) {
    settle(descriptions_, name,
           response ? read_description(*response, asked)
                    : Result<Timed<Description>>(response.error()));
  });
}

Result<wire::Name> Discovery::asked_owner(const wire::Name& canonical, ServicePort port) const {
  return service_owner(TRY(asked_name(canonical)), port);
}

void Discovery::find(const wire::Name& canonical, ServicePort port, Freshness freshness,
                     std::function<void(Result<SharedCandidates>)> done) {
  const auto owner = asked_owner(canonical, port);
  if (!owner) return done(owner.error());
  answer_or_ask(served_, *owner, freshness, std::move(done), [&] { ask_served(*owner); });
}

std::optional<Result<Discovery::SharedCandidates>> Discovery::find_cached(
    const wire::Name& canonical, ServicePort port) {
  const auto owner = asked_owner(canonical, port);
  if (!owner) return Result<SharedCandidates>(owner.error());
  AnswerCache<std::vector<Candidate>>::Found found;
  {
    const std::lock_guard lock(mutex_);
    found = served_.cache.find(*owner, clock_.steady_now());
  }
  // A stale answer serves; that the authority is asked again is for the next caller.
  if (found.answer && found.ask) {
    answer_or_ask<std::vector<Candidate>>(
        served_, *owner, Freshness::cached, [](const auto&) {}, [&] { ask_served(*owner); });
  }
  return std::move(found.answer);
}

// One SRV question and the questions for addresses that did not come along. Ask's callbacks come
// one at a time, so only the count of those outstanding is shared with the thread that asks.
struct Discovery::ServedQuestion {
  wire::Name owner;
  Timed<ServedTargets> served;
  std::atomic<std::size_t> outstanding{1};  // 1 stands for the loop that asks
  std::mutex mutex;                         // guards served.value.addresses while answers come
  std::optional<Error> failure;
};

void Discovery::ask_served(const wire::Name& name) {
  ask(name, wire::RRType::srv, [this, name](Result<wire::Message> response) {
    auto targets = response ? read_served_targets(*response, name)
                            : Result<Timed<ServedTargets>>(response.error());
    if (!targets) return settle<std::vector<Candidate>>(served_, name, targets.error());
    auto question = std::make_shared<ServedQuestion>();
    question->owner = name;
    question->served = std::move(*targets);
    ask_missing_addresses(std::move(question));
  });
}

void Discovery::ask_missing_addresses(std::shared_ptr<ServedQuestion> question) {
  std::vector<wire::Name> missing;
  for (const ServedTarget& target : question->served.value.targets) {
    if (missing.size() == kMostHostsAsked) break;
    // An empty entry marks a host that is being asked for.
    if (question->served.value.addresses.try_emplace(target.host).second)
      missing.push_back(target.host);
  }
  const auto one_done = [this, question] {
    if (question->outstanding.fetch_sub(1) != 1) return;
    auto candidates = candidates_of(question->served.value, settings_.acceptable);
    if (candidates.empty() && question->failure) {
      return settle<std::vector<Candidate>>(served_, question->owner, *question->failure);
    }
    settle<std::vector<Candidate>>(
        served_, question->owner,
        Timed<std::vector<Candidate>>{std::move(candidates), question->served.ttl});
  };
  question->outstanding += 2 * missing.size();
  for (const wire::Name& host : missing) {
    for (const auto type : {wire::RRType::a, wire::RRType::aaaa}) {
      ask(host, type, [question, host, one_done](Result<wire::Message> response) {
        auto addresses = response ? read_addresses(*response, host)
                                  : Result<std::vector<Bytes>>(response.error());
        {
          const std::lock_guard lock(question->mutex);
          if (!addresses) {
            question->failure = addresses.error();
          } else {
            auto& known = question->served.value.addresses[host];
            known.insert(known.end(), addresses->begin(), addresses->end());
          }
        }
        one_done();
      });
    }
  }
  one_done();
}

void Discovery::flush() {
  const std::lock_guard lock(mutex_);
  descriptions_.cache.clear();
  served_.cache.clear();
}

Discovery::Counts Discovery::counts() const {
  const std::lock_guard lock(mutex_);
  return {descriptions_.cache.size(), served_.cache.size(), questions_, failures_};
}

}  // namespace mutua::resolver
