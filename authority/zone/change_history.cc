#include "authority/zone/change_history.h"

#include <algorithm>
#include <utility>

namespace mutua::authority {

void ChangeHistory::add(ChangeSet change) {
  if (change.empty()) return;
  auto kept = std::make_shared<const ChangeSet>(std::move(change));
  const std::lock_guard lock(mutex_);
  if (!changes_.empty() && changes_.back()->to != kept->from) {
    changes_.clear();
    kept_ = 0;
  }
  kept_ += kept->changes.size();
  changes_.push_back(std::move(kept));
  while (kept_ > most_changes_ && changes_.size() > 1) {
    kept_ -= changes_.front()->changes.size();
    changes_.pop_front();
  }
}

std::optional<ChangeHistory::Path> ChangeHistory::path(std::uint32_t from, std::uint32_t to) const {
  if (from == to) return Path();
  const std::lock_guard lock(mutex_);
  // Serials wrap, and one may come again after 2^32 changes: the newest path is the one.
  const auto last = std::find_if(changes_.rbegin(), changes_.rend(),
                                 [&](const auto& one) { return one->to == to; });
  const auto first =
      std::find_if(last, changes_.rend(), [&](const auto& one) { return one->from == from; });
  if (first == changes_.rend()) return std::nullopt;
  return Path(std::prev(first.base()), last.base());
}

}  // namespace mutua::authority
