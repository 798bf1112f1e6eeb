#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "authority/zone/ready_rrset.h"
#include "authority/zone/rrset.h"
#include "wire/name.h"

namespace mutua::authority {

// What one name owns, and the same in the form that look-ups use. Immutable; shared by the nodes of
// successive versions that differ in their number of children alone.
class NodeContent {
 public:
  // `rrsets`: sorted by type. `addresses` is asked for those of their targets.
  NodeContent(wire::Name owner, std::vector<RRset> rrsets, const AddressSource& addresses);
  NodeContent(const NodeContent&) = delete;
  NodeContent& operator=(const NodeContent&) = delete;

  const wire::Name& owner() const { return owner_; }
  std::span<const RRset> rrsets() const { return rrsets_; }
  ReadyBlock ready() const { return ReadyBlock(block_.data()); }

 private:
  const wire::Name owner_;
  const std::vector<RRset> rrsets_;
  const Bytes block_;
};

// Everything that one name owns. Immutable. A node without RRsets is an empty non-terminal
// (RFC 4592 section 2.2.2). Counts its own references (see NameTrie).
class ZoneNode {
 public:
  ZoneNode(std::shared_ptr<const NodeContent> content, std::uint32_t children);
  // With a hash that is not its name's: for tests of colliding names.
  ZoneNode(std::shared_ptr<const NodeContent> content, std::uint32_t children, std::uint64_t hash);
  ZoneNode(const ZoneNode&) = delete;
  ZoneNode& operator=(const ZoneNode&) = delete;

  const wire::Name& owner() const { return content_->owner(); }
  BytesView folded_owner() const { return ready_.folded_owner(); }
  std::uint64_t hash() const { return hash_; }
  bool is_named(BytesView folded, std::uint64_t hash) const {
    const BytesView owner = folded_owner();
    return hash_ == hash && owner.size() == folded.size() &&
           std::memcmp(owner.data(), folded.data(), folded.size()) == 0;
  }
  // Names directly below this one.
  std::uint32_t children() const { return children_; }

  const RRset* find(wire::RRType type) const {
    const ReadyRRset* found = ready_.find(type);
    return found ? &rrset_of(*found) : nullptr;
  }
  std::span<const RRset> rrsets() const { return content_->rrsets(); }

  const ReadyRRset* ready(wire::RRType type) const { return ready_.find(type); }
  const ReadyBlock& all_ready() const { return ready_; }
  // The RRset that `ready`, one of this node's, is the wire form of.
  const RRset& rrset_of(const ReadyRRset& ready) const { return content_->rrsets()[ready.index]; }

  const std::shared_ptr<const NodeContent>& content() const { return content_; }

 private:
  template <typename Node>
  friend class NameTrie;

  mutable std::atomic<std::uint32_t> references_{0};
  std::uint32_t children_;
  std::uint64_t hash_;
  ReadyBlock ready_;  // of content_, without the way through it
  std::shared_ptr<const NodeContent> content_;
};

}  // namespace mutua::authority
