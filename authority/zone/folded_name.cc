#include "authority/zone/folded_name.h"

#include <algorithm>
#include <cstring>
#include <random>

namespace mutua::authority {
namespace {

__extension__ typedef unsigned __int128 Wide;

std::uint64_t fold_multiply(std::uint64_t a, std::uint64_t b) {
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint64_t load(const std::uint8_t* at, std::size_t count = 8) {
  std::uint64_t value = 0;
  std::memcpy(&value, at, count);
  return value;
}

struct HashKey {
  std::uint64_t first, second;
};

HashKey draw_hash_key() {
  std::random_device device;
  const auto draw = [&] { return static_cast<std::uint64_t>(device()) << 32 | device(); };
  return {draw() | 1, draw() | 1};
}

}  // namespace

FoldedName::FoldedName(const wire::Name& name) {
  const bool whole = read(name.wire());
  BASE_ASSERT(whole);
}

bool FoldedName::read(BytesView octets) {
  const std::size_t limit = std::min(octets.size(), kLargestName);
  std::size_t at = 0;
  unsigned labels = 0;
  while (true) {
    if (at >= limit) return false;
    const std::size_t length = octets[at];
    if (length > 63 || at + length >= limit) return false;
    offsets_[labels] = static_cast<std::uint8_t>(at);
    octets_[at] = static_cast<std::uint8_t>(length);
    if (length == 0) break;
    for (std::size_t i = at + 1; i <= at + length; ++i) octets_[i] = fold(octets[i]);
    at += length + 1;
    ++labels;
  }
  size_ = static_cast<std::uint8_t>(at + 1);
  label_count_ = static_cast<std::uint8_t>(labels);
  return true;
}

bool FoldedName::join(BytesView prefix, BytesView suffix) {
  if (prefix.size() + suffix.size() > kLargestName) return false;
  std::array<std::uint8_t, kLargestName> joined;
  std::copy(prefix.begin(), prefix.end(), joined.begin());
  std::copy(suffix.begin(), suffix.end(),
            joined.begin() + static_cast<std::ptrdiff_t>(prefix.size()));
  const bool whole = read({joined.data(), prefix.size() + suffix.size()});
  BASE_ASSERT(whole);
  return true;
}

bool FoldedName::is_at_or_below(BytesView ancestor, unsigned ancestor_labels) const {
  if (label_count_ < ancestor_labels) return false;
  const BytesView tail = suffix(ancestor_labels);
  return tail.size() == ancestor.size() &&
         std::memcmp(tail.data(), ancestor.data(), tail.size()) == 0;
}

std::uint64_t name_hash(BytesView folded, unsigned round) {
  static const HashKey key = draw_hash_key();
  const std::uint8_t* at = folded.data();
  std::size_t left = folded.size();
  std::uint64_t state = key.first ^ (left + (static_cast<std::uint64_t>(round) << 32));
  for (; left > 16; at += 16, left -= 16)
    state = fold_multiply(load(at) ^ key.second, load(at + 8) ^ state);
  // The last 1 to 16 octets; from 8 on the two loads overlap instead of branching on each length.
  const std::uint64_t head = left >= 8 ? load(at) : load(at, left);
  const std::uint64_t tail = left >= 8 ? load(at + left - 8) : 0;
  state = fold_multiply(head ^ key.second, tail ^ state);
  return fold_multiply(state ^ key.first, key.second);
}

}  // namespace mutua::authority
