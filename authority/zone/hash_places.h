#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace mutua::authority {

// Finds places in a list by 64-bit hashes of what stands there. Open addressing with the whole hash
// in the table: the list is looked at where the hashes agree, and hardly ever in vain.
class HashPlaces {
 public:
  // The place with this hash for which `is_it(place)`; nothing where there is none.
  template <typename IsIt>
  std::optional<std::uint32_t> find(std::uint64_t hash, IsIt is_it) const {
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t at = hash & mask; slots_[at].is_used; at = (at + 1) & mask)
      if (slots_[at].hash == hash && is_it(slots_[at].place)) return slots_[at].place;
    return std::nullopt;
  }

  void add(std::uint64_t hash, std::uint32_t place) {
    if (++count_ * 2 > slots_.size()) grow();
    put({hash, place, true});
  }

 private:
  struct Slot {
    std::uint64_t hash = 0;
    std::uint32_t place = 0;
    bool is_used = false;
  };

  void put(const Slot& slot) {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = slot.hash & mask;
    while (slots_[at].is_used) at = (at + 1) & mask;
    slots_[at] = slot;
  }
  void grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old)
      if (slot.is_used) put(slot);
  }

  static constexpr std::size_t kFirstSize = 1024;  // a power of two, as every size

  std::vector<Slot> slots_{kFirstSize};
  std::size_t count_ = 0;
};

}  // namespace mutua::authority
