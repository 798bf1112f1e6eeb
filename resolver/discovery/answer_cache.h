#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "resolver/discovery/answers.h"
#include "wire/name.h"

namespace mutua::resolver {

// What the authority said, by name. For an authority that cannot be asked RFC 8767 holds: what it
// last said serves on (for `stale_for`), and it is asked again every 5 s without anybody waiting. A
// failure without an older answer is remembered for 2 s (RFC 9520). Bounded: the longest unused
// goes first. Not thread-safe; its owner locks.
template <typename Value>
class AnswerCache {
 public:
  using Shared = std::shared_ptr<const Value>;

  AnswerCache(std::size_t limit, std::chrono::seconds stale_for)
      : limit_(limit), stale_for_(stale_for) {}

  struct Found {
    std::optional<Result<Shared>> answer;  // nothing: wait for the authority
    bool ask = false;                      // the authority is to be asked (again)
  };
  Found find(const wire::Name& name, SteadyTime now) {
    const auto found = entries_.find(name);
    if (found == entries_.end()) return {std::nullopt, true};
    const Entry& entry = found->second;
    order_.splice(order_.begin(), order_, entry.place);
    const bool due = now >= entry.ask_again;
    const bool serves_on =
        entry.authority_is_away && entry.answer.ok() && now < entry.useless_after;
    if (due && !serves_on) return {std::nullopt, true};
    return {entry.answer, due};
  }

  // What was last said, though its time is over.
  std::optional<Shared> find_stale(const wire::Name& name, SteadyTime now) const {
    const auto found = entries_.find(name);
    if (found == entries_.end() || !found->second.answer.ok() ||
        now >= found->second.useless_after) {
      return std::nullopt;
    }
    return *found->second.answer;
  }

  // True when the authority was asked less than `age` ago.
  bool is_younger(const wire::Name& name, std::chrono::milliseconds age, SteadyTime now) const {
    const auto entry = entries_.find(name);
    return entry != entries_.end() && now - entry->second.stored_at < age;
  }

  // Keeps what the authority said, at `heard_at`: not after now.
  Result<Shared> store(const wire::Name& name, Timed<Value> said, SteadyTime now,
                       SteadyTime heard_at) {
    Entry& entry = entry_of(name);
    entry.answer = std::make_shared<const Value>(std::move(said.value));
    entry.stored_at = now;
    entry.authority_is_away = false;
    entry.ask_again = now + said.ttl;
    entry.useless_after = heard_at + said.ttl + stale_for_;
    return entry.answer;
  }

  // The authority could not say: gives the stale answer where there is one.
  Result<Shared> store_failure(const wire::Name& name, const Error& error, SteadyTime now) {
    Entry& entry = entry_of(name);
    entry.stored_at = now;
    entry.authority_is_away = true;
    if (entry.answer.ok() && now < entry.useless_after) {
      entry.ask_again = now + kAskAgainWhileStale;
    } else {
      entry.answer = error;
      entry.ask_again = now + kFailureTtl;
    }
    return entry.answer;
  }

  void clear() {
    entries_.clear();
    order_.clear();
  }
  std::size_t size() const { return entries_.size(); }

 private:
  static constexpr std::chrono::seconds kAskAgainWhileStale{5};
  static constexpr std::chrono::seconds kFailureTtl{2};

  struct Entry {
    Result<Shared> answer{Error("not asked yet")};
    SteadyTime stored_at{}, ask_again{}, useless_after{};
    bool authority_is_away = false;
    std::list<wire::Name>::iterator place;
  };

  Entry& entry_of(const wire::Name& name) {
    const auto found = entries_.find(name);
    if (found != entries_.end()) {
      order_.splice(order_.begin(), order_, found->second.place);
      return found->second;
    }
    if (entries_.size() >= limit_) {
      entries_.erase(order_.back());
      order_.pop_back();
    }
    order_.push_front(name);
    Entry& entry = entries_[name];
    entry.place = order_.begin();
    return entry;
  }

  const std::size_t limit_;
  const std::chrono::seconds stale_for_;
  std::unordered_map<wire::Name, Entry> entries_;
  std::list<wire::Name> order_;  // the latest used first
};

}  // namespace mutua::resolver
