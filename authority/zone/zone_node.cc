#include "authority/zone/zone_node.h"

#include <new>
#include <utility>

#include "authority/zone/folded_name.h"

namespace mutua::authority {

NodeContent::Reference::Reference(BytesView owner, std::span<const RRsetView> rrsets,
                                  const AddressSource& addresses, ReadyBlockMaker& maker) {
  const BytesView block = maker.make(owner, rrsets, addresses);
  void* memory = ::operator new(sizeof(NodeContent) + block.size());
  auto* content = new (memory) NodeContent;
  std::memcpy(static_cast<void*>(content + 1), block.data(), block.size());
  content_ = content;
}

NodeContent::Reference::~Reference() {
  // Released for the others, acquired by the one that destroys: all uses come before.
  if (!content_ || content_->references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  content_->~NodeContent();
  ::operator delete(const_cast<NodeContent*>(content_));
}

ZoneNode::ZoneNode(NodeContent::Reference content, std::uint32_t children)
    : children_(children),
      hash_(name_hash(content->ready().folded_owner())),
      content_(std::move(content)) {}

std::vector<RRsetView> ZoneNode::rrsets() const {
  const ReadyBlock block = all_ready();
  std::vector<RRsetView> all;
  all.reserve(block.size());
  for (unsigned i = 0; i < block.size(); ++i) all.push_back(block.at(i).records());
  return all;
}

OwnName ZoneNode::owner() const { return OwnName(wire::Name::from_wire(given_owner()).value()); }

}  // namespace mutua::authority
