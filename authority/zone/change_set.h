#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "authority/zone/rrset.h"

namespace mutua::authority {

// The whole new content of one RRset; nothing deletes it.
struct RRsetChange {
  wire::Name owner;
  wire::RRType type = wire::RRType::a;
  std::optional<RRset> before;
  std::optional<RRset> after;
};

// What leads from the version `from` to the version `to`: each (owner, type) at most once, `before`
// is what stands in `from`. The SOA is among the changes whenever `to` differs from `from`.
struct ChangeSet {
  std::uint32_t from = 0, to = 0;  // SOA serials
  std::vector<RRsetChange> changes;

  bool empty() const { return changes.empty(); }
};

}  // namespace mutua::authority
