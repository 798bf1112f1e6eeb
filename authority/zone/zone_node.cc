#include "authority/zone/zone_node.h"

#include <new>
#include <utility>

#include "authority/zone/folded_name.h"

namespace mutua::authority {

NodeContent::Reference::Reference(const wire::Name& owner, std::vector<RRset>&& rrsets,
                                  const AddressSource& addresses, ReadyBlockMaker& maker) {
  const BytesView block = maker.make(owner.wire(), rrsets, addresses);
  content_ = place(
      rrsets.empty() ? nullptr : std::make_shared<const std::vector<RRset>>(std::move(rrsets)),
      block);
}

NodeContent::Reference::Reference(const Reference& before, const AddressSource& addresses,
                                  ReadyBlockMaker& maker)
    : content_(place(before->rrsets_,
                     maker.make(before->ready().given_owner(), before->rrsets(), addresses))) {}

const NodeContent* NodeContent::Reference::place(SharedRRsets rrsets, BytesView block) {
  void* memory = ::operator new(sizeof(NodeContent) + block.size());
  auto* content = new (memory) NodeContent(std::move(rrsets));
  std::memcpy(static_cast<void*>(content + 1), block.data(), block.size());
  return content;
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

OwnName ZoneNode::owner() const { return OwnName(wire::Name::from_wire(given_owner()).value()); }

}  // namespace mutua::authority
