#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "authority/zone/folded_name.h"
#include "base/bytes.h"
#include "wire/name.h"

namespace mutua::authority {

// A name as octets whose plain order is the canonical order of names (RFC 4034 section 6.1): the
// labels from the root's side on, each ended by a 0; inside a label 0 and 1 become 1 1 and 1 2.
// Made without allocation.
class OrderKey {
 public:
  explicit OrderKey(const FoldedName& name);
  BytesView octets() const { return {octets_.data(), size_}; }

 private:
  std::array<std::uint8_t, 2 * kLargestName> octets_;
  std::size_t size_ = 0;
};

// A persistent set of names in canonical order: a treap, balanced by the names' hashes. A copy
// costs O(1); a change copies the nodes on its way that somebody else holds too, about 2
// log2(names) of them. Threads: as NameTrie.
class NameOrder {
  struct Node;

 public:
  NameOrder() = default;
  NameOrder(const NameOrder& other);
  NameOrder(NameOrder&& other) noexcept;
  NameOrder& operator=(NameOrder other) noexcept;
  ~NameOrder();

  bool empty() const { return root_ == nullptr; }
  bool contains(const wire::Name& name) const;
  void insert(const wire::Name& name);  // if it is not there
  void erase(const wire::Name& name);   // if it is there

  // The last name that does not come after the key, the first that comes after it: in wire format,
  // with the letters that it was given; empty where there is none. Without allocation; lives as long
  // as the set.
  BytesView at_or_before(const OrderKey& key) const;
  BytesView after(const OrderKey& key) const;
  BytesView before(const OrderKey& key) const;
  BytesView first() const;
  BytesView last() const;

 private:
  struct Split;

  static void hold(Node* node);
  static void drop(Node* node);
  static Node* own(Node* node);
  static Split split(Node* node, BytesView key);
  static Node* join(Node* left, Node* right);
  static Node* insert_into(Node* node, Node* fresh);
  static Node* erase_from(Node* node, BytesView key);

  Node* root_ = nullptr;
};

}  // namespace mutua::authority
