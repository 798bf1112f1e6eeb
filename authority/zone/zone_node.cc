#include "authority/zone/zone_node.h"

#include <utility>

namespace mutua::authority {

ZoneNode::ZoneNode(wire::Name owner, std::shared_ptr<const RRsetTable> table, std::uint32_t children)
    : ZoneNode(std::move(owner), std::move(table), children, 0) {
  hash_ = name_hash(folded_owner_);
}

ZoneNode::ZoneNode(wire::Name owner, std::shared_ptr<const RRsetTable> table, std::uint32_t children,
                   std::uint64_t hash)
    : children_(children),
      hash_(hash),
      table_(std::move(table)),
      folded_owner_(to_bytes(FoldedName(owner).wire())),
      owner_(std::move(owner)) {}

}  // namespace mutua::authority
