#include "authority/zone/name_order.h"

#include <algorithm>
#include <atomic>
#include <compare>
#include <cstring>
#include <new>
#include <utility>

namespace mutua::authority {
namespace {

std::strong_ordering compare(BytesView a, BytesView b) {
  return std::lexicographical_compare_three_way(a.begin(), a.end(), b.begin(), b.end());
}

}  // namespace

OrderKey::OrderKey(const FoldedName& name) {
  const BytesView wire = name.wire();
  for (unsigned labels = 1; labels <= name.label_count(); ++labels) {
    const std::size_t at = name.suffix_offset(labels);
    for (std::size_t i = at + 1; i <= at + wire[at]; ++i) {
      if (wire[i] <= 1) octets_[size_++] = 1;
      octets_[size_++] = static_cast<std::uint8_t>(wire[i] <= 1 ? wire[i] + 1 : wire[i]);
    }
    octets_[size_++] = 0;
  }
}

// One piece of memory:   Node | name | key
struct NameOrder::Node {
  static Node* create(const wire::Name& name) {
    const FoldedName folded(name);
    const OrderKey key(folded);
    Node* const node = create(name.wire().size(), key.octets().size());
    node->priority = name_hash(folded.wire());
    std::memcpy(node->octets(), name.wire().data(), node->name_size);
    std::memcpy(node->octets() + node->name_size, key.octets().data(), node->key_size);
    return node;
  }
  static Node* copy(const Node& other) {
    Node* const node = create(other.name_size, other.key_size);
    node->priority = other.priority;
    node->left = other.left;
    node->right = other.right;
    std::memcpy(node->octets(), other.octets(), std::size_t{other.name_size} + other.key_size);
    return node;
  }
  static void destroy(Node* node) {
    node->~Node();
    ::operator delete(node);
  }

  BytesView name() const { return {octets(), name_size}; }
  BytesView key() const { return {octets() + name_size, key_size}; }
  bool is_above(const Node& other) const { return priority > other.priority; }

  std::atomic<std::uint32_t> references{1};
  const std::uint16_t name_size, key_size;
  std::uint64_t priority = 0;
  Node* left = nullptr;
  Node* right = nullptr;

 private:
  Node(std::size_t name, std::size_t key)
      : name_size(static_cast<std::uint16_t>(name)), key_size(static_cast<std::uint16_t>(key)) {}
  ~Node() = default;

  static Node* create(std::size_t name, std::size_t key) {
    return new (::operator new(sizeof(Node) + name + key)) Node(name, key);
  }
  std::uint8_t* octets() { return reinterpret_cast<std::uint8_t*>(this + 1); }
  const std::uint8_t* octets() const { return reinterpret_cast<const std::uint8_t*>(this + 1); }
};

struct NameOrder::Split {
  Node* before;  // than the key
  Node* rest;
};

NameOrder::NameOrder(const NameOrder& other) : root_(other.root_) { hold(root_); }
NameOrder::NameOrder(NameOrder&& other) noexcept : root_(std::exchange(other.root_, nullptr)) {}
NameOrder& NameOrder::operator=(NameOrder other) noexcept {
  std::swap(root_, other.root_);
  return *this;
}
NameOrder::~NameOrder() { drop(root_); }

void NameOrder::hold(Node* node) {
  if (node) node->references.fetch_add(1, std::memory_order_relaxed);
}

void NameOrder::drop(Node* node) {
  // Released for the others, acquired by the one that destroys: all uses come before.
  if (!node || node->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  drop(node->left);
  drop(node->right);
  Node::destroy(node);
}

// The node, unless others hold it too: then a copy of our own, in exchange for our reference.
NameOrder::Node* NameOrder::own(Node* node) {
  if (node->references.load(std::memory_order_acquire) == 1) return node;
  Node* const copy = Node::copy(*node);
  hold(copy->left);
  hold(copy->right);
  drop(node);
  return copy;
}

// Takes over the reference; gives two.
NameOrder::Split NameOrder::split(Node* node, BytesView key) {
  if (!node) return {nullptr, nullptr};
  node = own(node);
  if (compare(node->key(), key) < 0) {
    const Split below = split(node->right, key);
    node->right = below.before;
    return {node, below.rest};
  }
  const Split below = split(node->left, key);
  node->left = below.rest;
  return {below.before, node};
}

NameOrder::Node* NameOrder::join(Node* left, Node* right) {
  if (!left) return right;
  if (!right) return left;
  if (left->is_above(*right)) {
    left = own(left);
    left->right = join(left->right, right);
    return left;
  }
  right = own(right);
  right->left = join(left, right->left);
  return right;
}

NameOrder::Node* NameOrder::insert_into(Node* node, Node* fresh) {
  if (!node || fresh->is_above(*node)) {
    const Split around = split(node, fresh->key());
    fresh->left = around.before;
    fresh->right = around.rest;
    return fresh;
  }
  node = own(node);
  Node*& child = compare(fresh->key(), node->key()) < 0 ? node->left : node->right;
  child = insert_into(child, fresh);
  return node;
}

NameOrder::Node* NameOrder::erase_from(Node* node, BytesView key) {
  node = own(node);
  const auto order = compare(key, node->key());
  if (order == 0) {
    Node* const joined =
        join(std::exchange(node->left, nullptr), std::exchange(node->right, nullptr));
    drop(node);
    return joined;
  }
  Node*& child = order < 0 ? node->left : node->right;
  child = erase_from(child, key);
  return node;
}

bool NameOrder::contains(const wire::Name& name) const {
  const OrderKey key{FoldedName(name)};
  for (const Node* node = root_; node;) {
    const auto order = compare(key.octets(), node->key());
    if (order == 0) return true;
    node = order < 0 ? node->left : node->right;
  }
  return false;
}

void NameOrder::insert(const wire::Name& name) {
  if (!contains(name)) root_ = insert_into(root_, Node::create(name));
}

void NameOrder::erase(const wire::Name& name) {
  if (contains(name)) root_ = erase_from(root_, OrderKey(FoldedName(name)).octets());
}

BytesView NameOrder::at_or_before(const OrderKey& key) const {
  const Node* best = nullptr;
  for (const Node* node = root_; node;) {
    const bool fits = compare(node->key(), key.octets()) <= 0;
    if (fits) best = node;
    node = fits ? node->right : node->left;
  }
  return best ? best->name() : BytesView();
}

BytesView NameOrder::before(const OrderKey& key) const {
  const Node* best = nullptr;
  for (const Node* node = root_; node;) {
    const bool fits = compare(node->key(), key.octets()) < 0;
    if (fits) best = node;
    node = fits ? node->right : node->left;
  }
  return best ? best->name() : BytesView();
}

BytesView NameOrder::after(const OrderKey& key) const {
  const Node* best = nullptr;
  for (const Node* node = root_; node;) {
    const bool fits = compare(node->key(), key.octets()) > 0;
    if (fits) best = node;
    node = fits ? node->left : node->right;
  }
  return best ? best->name() : BytesView();
}

BytesView NameOrder::first() const {
  const Node* node = root_;
  while (node && node->left) node = node->left;
  return node ? node->name() : BytesView();
}

BytesView NameOrder::last() const {
  const Node* node = root_;
  while (node && node->right) node = node->right;
  return node ? node->name() : BytesView();
}

}  // namespace mutua::authority
