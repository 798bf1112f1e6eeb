#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include "authority/zone/folded_name.h"

namespace mutua::authority {

// Who refers to one name: the names whose SRV, NS, MX … records have it as their target, so that
// its addresses stand in their ready-made answers. Immutable; a node of a NameTrie.
class Referrers {
 public:
  // `owners`: the name_hash() of each, once for each of them, in any order.
  Referrers(const FoldedName& target, std::vector<std::uint64_t> owners)
      : target_(target.wire().begin(), target.wire().end()),
        hash_(name_hash(target.wire())),
        owners_(std::move(owners)) {}
  Referrers(const Referrers&) = delete;
  Referrers& operator=(const Referrers&) = delete;

  BytesView folded_owner() const { return target_; }
  std::uint64_t hash() const { return hash_; }
  bool is_named(BytesView folded, std::uint64_t hash) const {
    return hash_ == hash &&
           std::equal(target_.begin(), target_.end(), folded.begin(), folded.end());
  }
  const std::vector<std::uint64_t>& owners() const { return owners_; }

 private:
  template <typename Node>
  friend class NameTrie;

  mutable std::atomic<std::uint32_t> references_{0};
  const Bytes target_;
  const std::uint64_t hash_;
  const std::vector<std::uint64_t> owners_;
};

}  // namespace mutua::authority
