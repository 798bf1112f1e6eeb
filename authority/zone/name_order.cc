#include "authority/zone/name_order.h"

#include <algorithm>
#include <atomic>
#include <compare>
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

struct NameOrder::Node {
  struct Content {
    wire::Name name;
    Bytes key;
    std::uint64_t priority;
  };

  explicit Node(const wire::Name& name) {
    const FoldedName folded(name);
    const OrderKey key(folded);
    content = std::make_shared<const Content>(
        Content{name, to_bytes(key.octets()), name_hash(folded.wire())});
  }
  Node(const Node& other) : content(other.content), left(other.left), right(other.right) {}

  BytesView key() const { return content->key; }
  bool is_above(const Node& other) const { return content->priority > other.content->priority; }

  std::atomic<std::uint32_t> references{1};
  std::shared_ptr<const Content> content;
  Node* left = nullptr;
  Node* right = nullptr;
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
  delete node;
}

// The node, unless others hold it too: then a copy of our own, in exchange for our reference.
NameOrder::Node* NameOrder::own(Node* node) {
  if (node->references.load(std::memory_order_acquire) == 1) return node;
  auto* copy = new Node(*node);
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
  const wire::Name* found = at_or_before(OrderKey(FoldedName(name)));
  return found && *found == name;
}

void NameOrder::insert(const wire::Name& name) {
  if (!contains(name)) root_ = insert_into(root_, new Node(name));
}

void NameOrder::erase(const wire::Name& name) {
  if (contains(name)) root_ = erase_from(root_, OrderKey(FoldedName(name)).octets());
}

const wire::Name* NameOrder::at_or_before(const OrderKey& key) const {
  const Node* best = nullptr;
  for (const Node* node = root_; node;) {
    const bool fits = compare(node->key(), key.octets()) <= 0;
    if (fits) best = node;
    node = fits ? node->right : node->left;
  }
  return best ? &best->content->name : nullptr;
}

const wire::Name* NameOrder::before(const OrderKey& key) const {
  const Node* best = nullptr;
  for (const Node* node = root_; node;) {
    const bool fits = compare(node->key(), key.octets()) < 0;
    if (fits) best = node;
    node = fits ? node->right : node->left;
  }
  return best ? &best->content->name : nullptr;
}

const wire::Name* NameOrder::after(const OrderKey& key) const {
  const Node* best = nullptr;
  for (const Node* node = root_; node;) {
    const bool fits = compare(node->key(), key.octets()) > 0;
    if (fits) best = node;
    node = fits ? node->left : node->right;
  }
  return best ? &best->content->name : nullptr;
}

const wire::Name* NameOrder::first() const {
  const Node* node = root_;
  while (node && node->left) node = node->left;
  return node ? &node->content->name : nullptr;
}

const wire::Name* NameOrder::last() const {
  const Node* node = root_;
  while (node && node->right) node = node->right;
  return node ? &node->content->name : nullptr;
}

}  // namespace mutua::authority
