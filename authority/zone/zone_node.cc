#include "authority/zone/zone_node.h"

#include <utility>

#include "authority/zone/folded_name.h"

namespace mutua::authority {

NodeContent::NodeContent(wire::Name owner, std::vector<RRset> rrsets,
                         const AddressSource& addresses)
    : owner_(std::move(owner)),
      rrsets_(std::move(rrsets)),
      block_(make_ready_block(owner_, rrsets_, addresses)) {}

ZoneNode::ZoneNode(std::shared_ptr<const NodeContent> content, std::uint32_t children)
    : ZoneNode(std::move(content), children, 0) {
  hash_ = name_hash(folded_owner());
}

ZoneNode::ZoneNode(std::shared_ptr<const NodeContent> content, std::uint32_t children,
                   std::uint64_t hash)
    : children_(children), hash_(hash), ready_(content->ready()), content_(std::move(content)) {}

}  // namespace mutua::authority
