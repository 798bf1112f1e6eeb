#include "authority/dnssec/signature_schedule.h"

#include <chrono>
#include <utility>

namespace mutua::authority {

void SignatureSchedule::add(const wire::Name& owner, WallTime due) {
  by_hour_[std::chrono::ceil<std::chrono::hours>(due)].push_back(owner);
}

std::optional<WallTime> SignatureSchedule::next_due() const {
  if (by_hour_.empty()) return std::nullopt;
  return by_hour_.begin()->first;
}

std::vector<wire::Name> SignatureSchedule::take_due(WallTime now, std::size_t most) {
  std::vector<wire::Name> due;
  while (due.size() < most && !by_hour_.empty() && by_hour_.begin()->first <= now) {
    std::vector<wire::Name>& names = by_hour_.begin()->second;
    while (due.size() < most && !names.empty()) {
      due.push_back(std::move(names.back()));
      names.pop_back();
    }
    if (names.empty()) by_hour_.erase(by_hour_.begin());
  }
  return due;
}

}  // namespace mutua::authority
