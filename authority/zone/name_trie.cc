#include "authority/zone/name_trie.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "authority/zone/referrers.h"
#include "authority/zone/zone_node.h"

namespace mutua::authority {
namespace {

bool same(BytesView a, BytesView b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

template <typename Node>
typename NameTrie<Node>::Branch* NameTrie<Node>::Branch::create(std::uint64_t bitmap) {
  const std::size_t slots = ones(bitmap);
  auto* branch = new (::operator new(sizeof(Branch) + slots * sizeof(Slot))) Branch;
  branch->bitmap = bitmap;
  return branch;
}

template <typename Node>
void NameTrie<Node>::Branch::destroy(Branch* branch) {
  branch->~Branch();
  ::operator delete(branch);
}

// How far down a change has come, and the bits of the hash that say where it goes next.
template <typename Node>
struct NameTrie<Node>::Walk {
  BytesView folded;
  std::uint64_t hash;  // of this round
  unsigned depth = 0;

  unsigned position() const { return position_of(hash); }
  unsigned position_of(std::uint64_t round_hash) const {
    return static_cast<unsigned>(round_hash >> (depth % kBranchesPerRound * kBitsPerBranch) & 63);
  }
  Walk deeper() const {
    const unsigned next = depth + 1;
    return {folded,
            next % kBranchesPerRound == 0 ? name_hash(folded, next / kBranchesPerRound) : hash,
            next};
  }
};

template <typename Node>
void NameTrie<Node>::hold(Slot slot) {
  if (slot == 0) return;
  const Node* node = node_of(slot);
  auto& references = node ? node->references_ : branch_of(slot)->references;
  references.fetch_add(1, std::memory_order_relaxed);
}

template <typename Node>
void NameTrie<Node>::drop(Slot slot) {
  if (slot == 0) return;
  const Node* node = node_of(slot);
  auto& references = node ? node->references_ : branch_of(slot)->references;
  // Released for the others, acquired by the one that destroys: all uses come before.
  if (references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (node) {
    delete node;
    return;
  }
  Branch* branch = branch_of(slot);
  for (unsigned i = 0; i < branch->count(); ++i) drop(branch->slots()[i]);
  Branch::destroy(branch);
}

// The branch, unless others hold it too: then a copy of our own, in exchange for our reference.
// Its children gain a reference by that, so whatever lies below a shared branch counts as shared.
template <typename Node>
typename NameTrie<Node>::Slot NameTrie<Node>::own(Slot slot) {
  Branch* branch = branch_of(slot);
  if (branch->references.load(std::memory_order_acquire) == 1) return slot;
  Branch* copy = Branch::create(branch->bitmap);
  for (unsigned i = 0; i < branch->count(); ++i) hold(copy->slots()[i] = branch->slots()[i]);
  drop(slot);
  return reinterpret_cast<Slot>(copy);
}

// A node, and its hash with what decides first in front, so that neighbours share their branches.
template <typename Node>
struct NameTrie<Node>::Placed {
  std::uint64_t order;
  const Node* node;

  static std::uint64_t order_of(std::uint64_t hash) {
    std::uint64_t order = 0;
    for (unsigned i = 0; i < kBranchesPerRound; ++i, hash >>= kBitsPerBranch)
      order = order << kBitsPerBranch | (hash & 63);
    return order;
  }
  unsigned position(unsigned depth) const {
    return static_cast<unsigned>(order >> (kBranchesPerRound - 1 - depth) * kBitsPerBranch & 63);
  }
};

template <typename Node>
NameTrie<Node> NameTrie<Node>::of(std::vector<std::unique_ptr<const Node>> nodes) {
  std::vector<Placed> placed;
  placed.reserve(nodes.size());
  for (auto& node : nodes) {
    const Node* taken = node.release();
    taken->references_.store(1, std::memory_order_relaxed);
    placed.push_back({Placed::order_of(taken->hash()), taken});
  }
  std::sort(placed.begin(), placed.end(),
            [](const Placed& a, const Placed& b) { return a.order < b.order; });
  NameTrie trie;
  std::vector<const Node*> colliding;
  trie.root_ = join_all(placed, 0, colliding);
  for (const Node* node : colliding) {
    const Walk walk{node->folded_owner(), node->hash()};
    trie.root_ = put_into(trie.root_, reinterpret_cast<Slot>(node) | 1, walk);
  }
  return trie;
}

// The nodes of one branch. Those that one round of the hash does not tell apart are left over.
template <typename Node>
typename NameTrie<Node>::Slot NameTrie<Node>::join_all(std::span<Placed> placed, unsigned depth,
                                                       std::vector<const Node*>& colliding) {
  if (placed.empty()) return 0;
  if (placed.size() == 1 || depth == kBranchesPerRound) {
    for (const Placed& more : placed.subspan(1)) colliding.push_back(more.node);
    return reinterpret_cast<Slot>(placed.front().node) | 1;
  }
  std::uint64_t bitmap = 0;
  for (const Placed& one : placed) bitmap |= std::uint64_t{1} << one.position(depth);
  Branch* branch = Branch::create(bitmap);
  Slot* slot = branch->slots();
  while (!placed.empty()) {
    std::size_t end = 1;
    while (end < placed.size() && placed[end].position(depth) == placed[0].position(depth)) ++end;
    *slot++ = join_all(placed.first(end), depth + 1, colliding);
    placed = placed.subspan(end);
  }
  return reinterpret_cast<Slot>(branch);
}

template <typename Node>
void NameTrie<Node>::put(std::unique_ptr<const Node> node) {
  const Walk walk{node->folded_owner(), node->hash()};
  const Slot slot = reinterpret_cast<Slot>(node.release()) | 1;
  hold(slot);
  root_ = put_into(root_, slot, walk);
}

// Takes over the references of `slot` and `node`, returns one.
template <typename Node>
typename NameTrie<Node>::Slot NameTrie<Node>::put_into(Slot slot, Slot node, const Walk& walk) {
  if (slot == 0) return node;
  if (const Node* present = node_of(slot)) {
    if (!same(present->folded_owner(), walk.folded)) return join_nodes(slot, node, walk);
    drop(slot);
    return node;
  }
  const unsigned position = walk.position();
  Branch* branch = branch_of(slot);
  const unsigned index = branch->index_of(position);
  if (branch->has(position)) {
    const Slot owned = own(slot);
    Slot& child = branch_of(owned)->slots()[index];
    child = put_into(child, node, walk.deeper());
    return owned;
  }
  Branch* wider = Branch::create(branch->bitmap | std::uint64_t{1} << position);
  for (unsigned i = 0; i < index; ++i) hold(wider->slots()[i] = branch->slots()[i]);
  wider->slots()[index] = node;
  for (unsigned i = index; i < branch->count(); ++i)
    hold(wider->slots()[i + 1] = branch->slots()[i]);
  drop(slot);
  return reinterpret_cast<Slot>(wider);
}

// Branches down to where the hashes of two different names part.
template <typename Node>
typename NameTrie<Node>::Slot NameTrie<Node>::join_nodes(Slot one, Slot other, const Walk& walk) {
  const Node* present = node_of(one);
  const unsigned round = walk.depth / kBranchesPerRound;
  const std::uint64_t present_hash =
      round == 0 ? present->hash() : name_hash(present->folded_owner(), round);
  const unsigned one_position = walk.position_of(present_hash);
  const unsigned other_position = walk.position();
  if (one_position == other_position) {
    Branch* branch = Branch::create(std::uint64_t{1} << one_position);
    branch->slots()[0] = join_nodes(one, other, walk.deeper());
    return reinterpret_cast<Slot>(branch);
  }
  Branch* branch =
      Branch::create(std::uint64_t{1} << one_position | std::uint64_t{1} << other_position);
  branch->slots()[0] = one_position < other_position ? one : other;
  branch->slots()[1] = one_position < other_position ? other : one;
  return reinterpret_cast<Slot>(branch);
}

template <typename Node>
void NameTrie<Node>::erase(BytesView folded, std::uint64_t hash) {
  if (find(folded, hash)) root_ = erase_from(root_, Walk{folded, hash});
}

// The name is there. Takes over the reference of `slot`; what remains of it, or 0.
template <typename Node>
typename NameTrie<Node>::Slot NameTrie<Node>::erase_from(Slot slot, const Walk& walk) {
  if (node_of(slot)) {
    drop(slot);
    return 0;
  }
  const Slot owned = own(slot);
  Branch* branch = branch_of(owned);
  const unsigned position = walk.position();
  const unsigned index = branch->index_of(position);
  const Slot remaining = erase_from(branch->slots()[index], walk.deeper());
  branch->slots()[index] = remaining;
  if (remaining != 0) {
    if (branch->count() > 1 || !node_of(remaining)) return owned;
    // A single node needs no branch above it.
    Branch::destroy(branch);
    return remaining;
  }
  if (branch->count() == 2 && node_of(branch->slots()[1 - index])) {
    const Slot last = branch->slots()[1 - index];
    Branch::destroy(branch);
    return last;
  }
  Slot narrowed = 0;
  if (branch->count() > 1) {
    Branch* narrower = Branch::create(branch->bitmap & ~(std::uint64_t{1} << position));
    for (unsigned i = 0, out = 0; i < branch->count(); ++i)
      if (i != index) narrower->slots()[out++] = branch->slots()[i];
    narrowed = reinterpret_cast<Slot>(narrower);
  }
  Branch::destroy(branch);
  return narrowed;
}

template <typename Node>
void NameTrie<Node>::for_each(const std::function<void(const Node&)>& visit) const {
  visit_below(root_, visit);
}

template <typename Node>
void NameTrie<Node>::visit_below(Slot slot, const std::function<void(const Node&)>& visit) {
  if (slot == 0) return;
  if (const Node* node = node_of(slot)) return visit(*node);
  Branch* branch = branch_of(slot);
  for (unsigned i = 0; i < branch->count(); ++i) visit_below(branch->slots()[i], visit);
}

template <typename Node>
void NameTrie<Node>::for_each_with_hash(std::uint64_t hash,
                                        const std::function<void(const Node&)>& visit) const {
  Slot slot = root_;
  std::uint64_t bits = hash;
  for (unsigned i = 0; slot != 0 && !node_of(slot) && i < kBranchesPerRound; ++i) {
    const Branch* branch = branch_of(slot);
    const auto position = static_cast<unsigned>(bits & 63);
    slot = branch->has(position) ? branch->slots()[branch->index_of(position)] : 0;
    bits >>= kBitsPerBranch;
  }
  visit_below(slot, [&](const Node& node) {
    if (node.hash() == hash) visit(node);
  });
}

template class NameTrie<ZoneNode>;
template class NameTrie<Referrers>;

}  // namespace mutua::authority
