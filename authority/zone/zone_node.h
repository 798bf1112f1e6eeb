#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "authority/zone/ready_rrset.h"
#include "authority/zone/rrset_view.h"
#include "wire/name.h"

namespace mutua::authority {

// What one name owns, in the form that look-ups use. Immutable; shared by the nodes of successive
// versions that differ in their number of children alone. One piece of memory:
//
//   NodeContent | ReadyBlock …
class alignas(8) NodeContent {
 public:
  NodeContent(const NodeContent&) = delete;
  NodeContent& operator=(const NodeContent&) = delete;

  ReadyBlock ready() const { return ReadyBlock(reinterpret_cast<const std::uint8_t*>(this + 1)); }

  // Holds a content alive.
  class Reference {
   public:
    // See ReadyBlockMaker.
    Reference(BytesView owner, std::span<const RRsetView> rrsets, const AddressSource& addresses,
              ReadyBlockMaker& maker);
    Reference(const Reference& other) : content_(other.content_) {
      content_->references_.fetch_add(1, std::memory_order_relaxed);
    }
    Reference(Reference&& other) noexcept : content_(std::exchange(other.content_, nullptr)) {}
    Reference& operator=(Reference other) noexcept {
      std::swap(content_, other.content_);
      return *this;
    }
    ~Reference();
    const NodeContent* operator->() const { return content_; }

   private:
    const NodeContent* content_;
  };

 private:
  NodeContent() = default;
  ~NodeContent() = default;

  mutable std::atomic<std::uint32_t> references_{1};
};
static_assert(sizeof(NodeContent) % 8 == 0);  // as ReadyBlock wants it

// A name that its holder owns: the octets of a temporary cannot be looked at, since they die with
// it.
class OwnName : public wire::Name {
 public:
  explicit OwnName(wire::Name name) : wire::Name(std::move(name)) {}
  BytesView wire() const& { return wire::Name::wire(); }
  BytesView wire() const&& = delete;
};

// Everything that one name owns. Immutable. A node without RRsets is an empty non-terminal
// (RFC 4592 section 2.2.2). Counts its own references (see NameTrie).
class ZoneNode {
 public:
  ZoneNode(NodeContent::Reference content, std::uint32_t children);
  // With a hash that is not its name's: for tests of colliding names.
  ZoneNode(NodeContent::Reference content, std::uint32_t children, std::uint64_t hash)
      : children_(children), hash_(hash), content_(std::move(content)) {}
  ZoneNode(const ZoneNode&) = delete;
  ZoneNode& operator=(const ZoneNode&) = delete;

  // With the letters that it was given; a copy. given_owner() lives as long as the node.
  OwnName owner() const;
  BytesView given_owner() const { return all_ready().given_owner(); }
  BytesView folded_owner() const { return all_ready().folded_owner(); }
  std::uint64_t hash() const { return hash_; }
  bool is_named(BytesView folded, std::uint64_t hash) const {
    if (hash_ != hash) return false;
    const BytesView owner = folded_owner();
    return owner.size() == folded.size() &&
           std::memcmp(owner.data(), folded.data(), folded.size()) == 0;
  }
  // Nothing but an NSEC3 stands here: for questions there is no such name (RFC 5155 section 7.2.8).
  bool is_denial_alone() const {
    if (children_ != 0 || !ready(wire::RRType::nsec3)) return false;
    return all_ready().size() == (ready(wire::RRType::rrsig) ? 2 : 1);
  }
  // Names directly below this one.
  std::uint32_t children() const { return children_; }

  // Views of records live as long as the node.
  std::optional<RRsetView> find(wire::RRType type) const {
    const ReadyRRset* found = ready(type);
    return found ? std::optional(found->records()) : std::nullopt;
  }
  // In the order of their types.
  std::vector<RRsetView> rrsets() const;
  bool has_records() const { return all_ready().size() != 0; }

  const ReadyRRset* ready(wire::RRType type) const { return all_ready().find(type); }
  ReadyBlock all_ready() const { return content_->ready(); }

  const NodeContent::Reference& content() const { return content_; }

 private:
  template <typename Node>
  friend class NameTrie;

  mutable std::atomic<std::uint32_t> references_{0};
  const std::uint32_t children_;
  const std::uint64_t hash_;
  const NodeContent::Reference content_;
};

}  // namespace mutua::authority
