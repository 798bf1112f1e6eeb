#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "wire/name.h"

namespace mutua::authority {

constexpr std::size_t kLargestName = 255;  // octets, RFC 1035 section 2.3.4
constexpr unsigned kMostLabels = 127;      // without the root label

// ASCII lower case, other octets as they are (RFC 4343). Label lengths are at most 63, below 'A',
// so whole names can be folded octet by octet.
constexpr std::uint8_t fold(std::uint8_t octet) {
  return octet >= 'A' && octet <= 'Z' ? static_cast<std::uint8_t>(octet | 0x20) : octet;
}

// A domain name in lower case and uncompressed wire format, inside a fixed buffer: the key of every
// look-up, made without allocation. A value.
class FoldedName {
 public:
  FoldedName() { octets_[0] = offsets_[0] = 0; }  // the root
  explicit FoldedName(const wire::Name& name);

  // Takes the name at the front of `octets`. False where it does not end there, is compressed or
  // too long; the content is then unspecified.
  bool read(BytesView octets);
  // Becomes `prefix` (whole labels, without a root label) in front of `suffix` (a whole name).
  // False, unchanged, where that is longer than a name may be. `suffix` may lie inside this name.
  bool join(BytesView prefix, BytesView suffix);

  BytesView wire() const { return {octets_.data(), size_}; }
  std::size_t size() const { return size_; }
  unsigned label_count() const { return label_count_; }  // without the root label
  // Where the last `labels` labels begin; 0 <= labels <= label_count().
  std::size_t suffix_offset(unsigned labels) const { return offsets_[label_count_ - labels]; }
  BytesView suffix(unsigned labels) const { return wire().subspan(suffix_offset(labels)); }
  bool is_at_or_below(BytesView ancestor, unsigned ancestor_labels) const;

 private:
  // Not cleared: only what size_ and label_count_ cover is ever read.
  std::array<std::uint8_t, kLargestName> octets_;
  std::array<std::uint8_t, kMostLabels + 1> offsets_;  // of each label and of the root label
  std::uint8_t size_ = 1;
  std::uint8_t label_count_ = 0;
};

// A keyed 64-bit hash of a folded name. The key is drawn once for each process, so that nobody can
// choose names that collide. Further rounds give independent hashes.
std::uint64_t name_hash(BytesView folded, unsigned round = 0);

}  // namespace mutua::authority
