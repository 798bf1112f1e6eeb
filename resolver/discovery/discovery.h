#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "resolver/authorities/ask.h"
#include "resolver/discovery/answer_cache.h"
#include "resolver/discovery/answers.h"

namespace mutua::resolver {

enum class Lookaside {
  no,
  yes,     // the authority is asked about every name
  listed,  // and about those outside the zone that DiscoverySettings::is_listed
};

struct DiscoverySettings {
  wire::Name zone;
  Lookaside lookaside = Lookaside::no;
  // Thread-safe; asked only where lookaside says so.
  std::function<bool(const wire::Name&)> is_listed = [](const wire::Name&) { return false; };
  // Whether names outside the zone are asked for as the names inside it that they have there,
  // www.example.org as www.example.org.lookaside.<zone>: only those can be signed.
  bool asks_inside_only = false;
  // Which addresses of the zone are connected to. A zone must not lead a browser into the client's
  // own machine (DNS rebinding), nor the relay into itself.
  std::function<bool(const SocketAddress&)> acceptable = [](const SocketAddress&) { return true; };
  // Runs an action later, on any thread, while the Discovery lives; without it stale answers are
  // given only when a question has failed.
  Later later;
  std::chrono::seconds stale_for = std::chrono::hours(72);  // after its TTL, RFC 8767
  // When an authority said what is being said now: earlier, where the answers come from a copy.
  // Thread-safe.
  std::function<SteadyTime(SteadyTime now)> heard_at = [](SteadyTime now) { return now; };
  std::size_t cached_names = 10'000;        // of each kind
  std::size_t questions_in_flight = 1'000;  // more are answered with an error
  std::size_t waiting_for_one = 10'000;     // callbacks that share one question
};

// (hostname) -> what the authority says of it; (hostname, port) -> Candidates. Questions to the
// authority are shared among those who ask the same at once, and cached for their TTL. Where an
// older answer is at hand, nobody waits for more than 1.8 s (RFC 8767 section 5).
// Thread-safe. A callback runs on the caller's thread when the answer is cached, otherwise on any.
class Discovery {
 public:
  using SharedDescription = std::shared_ptr<const Description>;
  using SharedCandidates = std::shared_ptr<const std::vector<Candidate>>;
  enum class Freshness { cached, refreshed };

  // `clock` and what `authority` refers to outlive this; so does this every question that it asked.
  Discovery(DiscoverySettings settings, AskZone authority, const Clock& clock);

  // Whether the authority is asked about `name` at all: at or below the zone, or looked aside.
  bool is_concerned(const wire::Name& name) const;

  // Not held, without a question, where the authority is not concerned.
  void describe(const wire::Name& name, std::function<void(Result<SharedDescription>)> done);

  // The candidates of `port` of `canonical` (Description::canonical), in the authority's order.
  // An empty list: the authority says that nobody serves it. `refreshed` asks although the cache
  // is fresh, but a list that is younger than half a second is taken as fresh all the same.
  void find(const wire::Name& canonical, ServicePort port, Freshness freshness,
            std::function<void(Result<SharedCandidates>)> done);

  // The same from the cache alone.
  std::optional<Result<SharedCandidates>> find_cached(const wire::Name& canonical,
                                                      ServicePort port);

  void flush();
  struct Counts {
    std::size_t descriptions = 0, lists = 0, questions = 0, failures = 0;
  };
  Counts counts() const;

 private:
  template <typename Value>
  struct Kind {
    Kind(std::size_t limit, std::chrono::seconds stale_for) : cache(limit, stale_for) {}
    using Done = std::function<void(Result<std::shared_ptr<const Value>>)>;
    AnswerCache<Value> cache;
    std::unordered_map<wire::Name, std::vector<Done>> waiting;
  };
  struct ServedQuestion;

  template <typename Value>
  void stop_waiting(Kind<Value>& kind, const wire::Name& name);
  // Answers `done` from the cache, or lets it wait; then `ask_it` runs if nobody has asked yet.
  template <typename Value, typename AskIt>
  void answer_or_ask(Kind<Value>& kind, const wire::Name& name, Freshness freshness,
                     typename Kind<Value>::Done done, AskIt ask_it);
  // Caches what was said and answers all who wait for `name`.
  template <typename Value>
  void settle(Kind<Value>& kind, const wire::Name& name, Result<Timed<Value>> said);
  void ask(const wire::Name& name, wire::RRType type,
           std::function<void(Result<wire::Message>)> done);
  // The name in the zone that stands for `name`; an error where it would be too long for a name.
  Result<wire::Name> asked_name(const wire::Name& name) const;
  Result<wire::Name> asked_owner(const wire::Name& canonical, ServicePort port) const;
  void ask_description(const wire::Name& name, const wire::Name& asked);
  void ask_served(const wire::Name& name);
  void ask_missing_addresses(std::shared_ptr<ServedQuestion> question);

  const DiscoverySettings settings_;
  const AskZone authority_;
  const Clock& clock_;
  mutable std::mutex mutex_;  // guards the rest
  Kind<Description> descriptions_;
  Kind<std::vector<Candidate>> served_;
  std::size_t questions_ = 0, failures_ = 0;
};

// "_80._tcp.<host>".
Result<wire::Name> service_owner(const wire::Name& host, ServicePort port);

}  // namespace mutua::resolver
