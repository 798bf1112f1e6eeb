#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "authority/zone/folded_name.h"
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
// A Node has folded_owner(), is_named(), hash() (that of its name, or of a test's choice), and a
// std::atomic<std::uint32_t> references_, mutable and 0 at first, that the trie is a friend of.
//
// Thread: look-ups from any number of threads, without a lock or a reference count, while the trie
// itself lives and does not change. Copies that share branches may change and die on other threads.
template <typename Node>
class NameTrie {
  struct Branch;
  using Slot = std::uintptr_t;  // 0, a Branch, or a Node with the lowest bit set

 public:
  NameTrie() = default;
  NameTrie(const NameTrie& other) : root_(other.root_) { hold(root_); }
  NameTrie(NameTrie&& other) noexcept : root_(std::exchange(other.root_, 0)) {}
  NameTrie& operator=(NameTrie other) noexcept {
    std::swap(root_, other.root_);
    return *this;
  }
  ~NameTrie() { drop(root_); }

  // A trie of all these nodes, whose names differ. As put() for each makes it, but by far faster.
  static NameTrie of(std::vector<std::unique_ptr<const Node>> nodes);

  // The node of a folded name, or nullptr. `hash` is name_hash(folded).
  const Node* find(BytesView folded, std::uint64_t hash) const;

  // Puts the node in, in the place of the one with the same name if there is one.
  void put(std::unique_ptr<const Node> node);
  // Takes the name out, if it is there.
  void erase(BytesView folded, std::uint64_t hash);

  void for_each(const std::function<void(const Node&)>& visit) const;
  // Every node whose hash is this one: one, or more where names collide.
  void for_each_with_hash(std::uint64_t hash, const std::function<void(const Node&)>& visit) const;

  // All nodes, in no particular order. Lives no longer than the trie, which does not change.
  class Iterator {
   public:
    explicit Iterator(const NameTrie& trie) { push(trie.root_); }

    // The next node; nullptr at the end.
    const Node* next() {
      while (!waiting_.empty()) {
        const Slot slot = waiting_.back();
        waiting_.pop_back();
        if (const Node* node = node_of(slot)) return node;
        const Branch* branch = branch_of(slot);
        for (unsigned i = 0; i < branch->count(); ++i) push(branch->slots()[i]);
      }
      return nullptr;
    }

   private:
    void push(Slot slot) {
      if (slot != 0) waiting_.push_back(slot);
    }
    std::vector<Slot> waiting_;  // at most 63 for each level above
  };

  // A look-up in small steps, each of which reads one line of memory that the step before asked
  // the processor to fetch: many at a time then wait for memory together instead of in turn.
  // Lives no longer than the trie.
  class Cursor {
   public:
    Cursor() = default;
    Cursor(const NameTrie& trie, std::uint64_t hash) : slot_(trie.root_), bits_(hash) {}

    // False, and nothing done, once it has arrived.
    bool step() {
      if (next_) {
        slot_ = *next_;
        next_ = nullptr;
        __builtin_prefetch(reinterpret_cast<const void*>(slot_ & ~Slot{1}));
        return true;
      }
      if (slot_ == 0 || (slot_ & 1) != 0 || depth_ == kBranchesPerRound) return false;
      const Branch* branch = branch_of(slot_);
      const auto position = static_cast<unsigned>(bits_ & 63);
      bits_ >>= kBitsPerBranch;
      ++depth_;
      if (!branch->has(position)) {
        slot_ = 0;
        return false;
      }
      next_ = branch->slots() + branch->index_of(position);
      __builtin_prefetch(next_);
      return true;
    }
    // Where it arrived: the one node that may be the name's. Nothing where there is none or more
    // would have to be looked at.
    const Node* candidate() const { return next_ ? nullptr : node_of(slot_); }
    // The name is not there for certain.
    bool is_absent() const { return slot_ == 0; }

   private:
    Slot slot_ = 0;
    const Slot* next_ = nullptr;  // to be read by the next step
    std::uint64_t bits_ = 0;
    unsigned depth_ = 0;
  };

 private:
  struct Walk;

  static constexpr unsigned kBitsPerBranch = 6;
  static constexpr unsigned kBranchesPerRound = 64 / kBitsPerBranch;  // the last 4 bits: unused

  // Without the POPCNT instruction, which not every x86-64 has, the compiler calls a function.
  static constexpr unsigned ones(std::uint64_t bits) {
    bits -= bits >> 1 & 0x5555555555555555;
    bits = (bits & 0x3333333333333333) + (bits >> 2 & 0x3333333333333333);
    bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0f;
    return static_cast<unsigned>(bits * 0x0101010101010101 >> 56);
  }

  struct Branch {
    std::atomic<std::uint32_t> references{1};
    std::uint64_t bitmap = 0;

    Slot* slots() { return reinterpret_cast<Slot*>(this + 1); }
    const Slot* slots() const { return reinterpret_cast<const Slot*>(this + 1); }
    unsigned count() const { return ones(bitmap); }
    unsigned index_of(unsigned position) const {
      return ones(bitmap & ((std::uint64_t{1} << position) - 1));
    }
    bool has(unsigned position) const { return bitmap >> position & 1; }

    // With room for as many slots as the bitmap has bits; the slots are the caller's to fill.
    static Branch* create(std::uint64_t bitmap);
    static void destroy(Branch* branch);
  };

  Slot root_ = 0;

  static const Node* node_of(Slot slot) {
    return slot & 1 ? reinterpret_cast<const Node*>(slot & ~Slot{1}) : nullptr;
  }
  static Branch* branch_of(Slot slot) { return reinterpret_cast<Branch*>(slot); }
  static void hold(Slot slot);
  static void drop(Slot slot);
  static Slot own(Slot slot);
  struct Placed;
  static Slot join_all(std::span<Placed> placed, unsigned depth,
                       std::vector<const Node*>& colliding);
  static Slot put_into(Slot slot, Slot node, const Walk& walk);
  static Slot join_nodes(Slot one, Slot other, const Walk& walk);
  static Slot erase_from(Slot slot, const Walk& walk);
  static void visit_below(Slot slot, const std::function<void(const Node&)>& visit);
};

template <typename Node>
inline const Node* NameTrie<Node>::find(BytesView folded, std::uint64_t hash) const {
  Slot slot = root_;
  for (unsigned round = 0;; ++round) {
    std::uint64_t bits = round == 0 ? hash : name_hash(folded, round);
    for (unsigned i = 0; i < kBranchesPerRound; ++i, bits >>= kBitsPerBranch) {
      if (slot == 0) return nullptr;
      if (const Node* node = node_of(slot)) return node->is_named(folded, hash) ? node : nullptr;
      const Branch* branch = branch_of(slot);
      const auto position = static_cast<unsigned>(bits & 63);
      if (!branch->has(position)) return nullptr;
      slot = branch->slots()[branch->index_of(position)];
    }
  }
}

}  // namespace mutua::authority
