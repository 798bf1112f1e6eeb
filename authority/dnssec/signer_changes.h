#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "authority/zone/change_set.h"
#include "authority/zone/zone_version.h"

namespace mutua::authority {

// The types at each name whose signatures no longer hold.
using TouchedTypes = std::map<wire::Name, std::set<wire::RRType>>;

// What a signer makes, on top of a version, which outlives it. Finds the RRsets at a name as they
// will be.
class SignerChanges {
 public:
  using AtName = std::map<wire::RRType, RRsetView>;

  explicit SignerChanges(const ZoneVersion& version) : version_(version) {}

  const ZoneVersion& version() const { return version_; }

  // Puts `after` in the place of what stands at (owner, type). False where that changes nothing.
  // Once for each.
  bool put(const wire::Name& owner, wire::RRType type, std::optional<RRset> after) {
    if (after) normalize(*after);
    auto present = version_.find(owner, type);
    if (present == after) return false;
    by_owner_[owner].push_back(all_.size());
    all_.push_back({owner, type, std::move(present), std::move(after)});
    return true;
  }

  // The views live until the next put().
  AtName rrsets_at(const wire::Name& owner) const {
    AtName found;
    if (const ZoneNode* node = version_.node(owner))
      for (const RRsetView& rrset : node->rrsets()) found.emplace(rrset.type(), rrset);
    if (const auto made = by_owner_.find(owner); made != by_owner_.end()) {
      for (const std::size_t index : made->second) {
        const RRsetChange& change = all_[index];
        if (change.after)
          found.insert_or_assign(change.type, RRsetView(*change.after));
        else
          found.erase(change.type);
      }
    }
    return found;
  }

  std::vector<RRsetChange> take() { return std::move(all_); }

 private:
  const ZoneVersion& version_;
  std::vector<RRsetChange> all_;
  std::unordered_map<wire::Name, std::vector<std::size_t>> by_owner_;
};

}  // namespace mutua::authority
