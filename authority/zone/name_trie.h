#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "authority/zone/zone_node.h"
#include "base/bytes.h"

namespace mutua::authority {

// A persistent map from names to nodes: a hash array mapped trie. Each branch consumes 6 bits of
// the name's hash and holds only the children that exist:
//
//   Branch | references | bitmap of 64 bits | slot | slot | …      slot: a branch or a node
//
// A copy costs O(1) and shares everything. A change copies the branches on its way that somebody
// else holds too, about log64(names) of them, and reuses those that are its own: building a trie
// from nothing copies nothing. Where 64 bits of hash do not tell two names apart, the hash of the
// next round does.
//
// Thread: look-ups from any number of threads, without a lock or a reference count, while the trie
// itself lives and does not change. Copies that share branches may change and die on other threads.
class NameTrie {
 public:
  NameTrie() = default;
  NameTrie(const NameTrie& other);
  NameTrie(NameTrie&& other) noexcept;
  NameTrie& operator=(NameTrie other) noexcept;
  ~NameTrie();

  // The node of a folded name, or nullptr. `hash` is name_hash(folded).
  const ZoneNode* find(BytesView folded, std::uint64_t hash) const;

  // Puts the node in, in the place of the one with the same name if there is one.
  void put(std::unique_ptr<const ZoneNode> node);
  // Takes the name out, if it is there.
  void erase(BytesView folded, std::uint64_t hash);

  void for_each(const std::function<void(const ZoneNode&)>& visit) const;

 private:
  struct Branch;
  struct Walk;
  using Slot = std::uintptr_t;

  Slot root_ = 0;  // 0, a Branch, or a ZoneNode with the lowest bit set

  static const ZoneNode* node_of(Slot slot);
  static Branch* branch_of(Slot slot);
  static void hold(Slot slot);
  static void drop(Slot slot);
  static Slot own(Slot slot);
  static Slot put_into(Slot slot, Slot node, const Walk& walk);
  static Slot join_nodes(Slot one, Slot other, const Walk& walk);
  static Slot erase_from(Slot slot, const Walk& walk);
  static void visit_below(Slot slot, const std::function<void(const ZoneNode&)>& visit);
};

}  // namespace mutua::authority
