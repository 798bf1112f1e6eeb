#pragma once

#include <cstddef>

#include "base/assert.h"

namespace mutua::resolver {

// How many octets the flows of one thread hold for readers that are slower than their writers.
class OctetBudget {
 public:
  explicit OctetBudget(std::size_t limit) : limit_(limit) {}

  void take(std::size_t octets) { held_ += octets; }
  void give_back(std::size_t octets) {
    BASE_ASSERT(octets <= held_);
    held_ -= octets;
  }
  // What one more flow may read before it knows that its reader takes it.
  bool is_spent() const { return held_ >= limit_; }

 private:
  const std::size_t limit_;
  std::size_t held_ = 0;
};

}  // namespace mutua::resolver
