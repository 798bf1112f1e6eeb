#include "authority/writer/recent_answers.h"

#include <chrono>

namespace mutua::authority {
namespace {

constexpr std::chrono::seconds kMemory(5);
constexpr std::size_t kMostAnswers = 8192;

}  // namespace

trust::Digest RecentAnswers::key_of(BytesView message, const SocketAddress& source, bool tcp) {
  trust::Sha256 hash;
  hash.update(as_bytes(source.to_text() + (tcp ? "/tcp " : "/udp ")));
  hash.update(message);
  return hash.finish();
}

const Bytes* RecentAnswers::find(const trust::Digest& key, SteadyTime now) const {
  const auto found = entries_.find(key);
  if (found == entries_.end() || now - found->second.at > kMemory) return nullptr;
  return &found->second.answer;
}

void RecentAnswers::remember(const trust::Digest& key, Bytes answer, SteadyTime now) {
  while (!by_age_.empty() &&
         (by_age_.size() >= kMostAnswers || now - entries_.at(by_age_.front()).at > kMemory)) {
    entries_.erase(by_age_.front());
    by_age_.pop_front();
  }
  if (entries_.emplace(key, Entry{std::move(answer), now}).second) by_age_.push_back(key);
}

}  // namespace mutua::authority
