#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "authority/zone/folded_name.h"
#include "authority/zone/ready_rrset.h"
#include "authority/zone/rrset.h"
#include "wire/name.h"

namespace mutua::authority {

// The RRsets of one name, sorted by type, each beside its form on the wire. Immutable; shared by
// the nodes of successive versions that differ in their number of children alone.
struct RRsetTable {
  std::vector<RRset> rrsets;
  std::vector<ReadyRRset> ready;  // one for each RRset, in the same order
};

// Everything that one name owns. Immutable. A node without RRsets is an empty non-terminal
// (RFC 4592 section 2.2.2). Counts its own references (see NameTrie).
class ZoneNode {
 public:
  ZoneNode(wire::Name owner, std::shared_ptr<const RRsetTable> table, std::uint32_t children);
  // With a hash that is not its name's: for tests of colliding names.
  ZoneNode(wire::Name owner, std::shared_ptr<const RRsetTable> table, std::uint32_t children,
           std::uint64_t hash);
  ZoneNode(const ZoneNode&) = delete;
  ZoneNode& operator=(const ZoneNode&) = delete;

  const wire::Name& owner() const { return owner_; }
  BytesView folded_owner() const { return folded_owner_; }
  std::uint64_t hash() const { return hash_; }
  // Names directly below this one.
  std::uint32_t children() const { return children_; }

  const RRset* find(wire::RRType type) const {
    const ReadyRRset* found = ready(type);
    return found ? &rrset_of(*found) : nullptr;
  }
  std::span<const RRset> rrsets() const { return table_->rrsets; }

  const ReadyRRset* ready(wire::RRType type) const {
    for (const ReadyRRset& candidate : table_->ready)
      if (candidate.type == type) return &candidate;
    return nullptr;
  }
  std::span<const ReadyRRset> all_ready() const { return table_->ready; }
  // The RRset that `ready`, one of this node's, is the wire form of.
  const RRset& rrset_of(const ReadyRRset& ready) const {
    return table_->rrsets[static_cast<std::size_t>(&ready - table_->ready.data())];
  }

  const std::shared_ptr<const RRsetTable>& table() const { return table_; }

 private:
  friend class NameTrie;

  mutable std::atomic<std::uint32_t> references_{0};
  std::uint32_t children_;
  std::uint64_t hash_;
  std::shared_ptr<const RRsetTable> table_;
  Bytes folded_owner_;
  wire::Name owner_;
};

}  // namespace mutua::authority
