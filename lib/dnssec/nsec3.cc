#include "dnssec/nsec3.h"

#include <algorithm>
#include <bit>
#include <string_view>

#include "dnssec/nsec.h"

namespace mutua::dnssec {
namespace {

constexpr std::uint8_t kSha1 = 1;  // RFC 5155 section 11
constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuv";
constexpr std::size_t kLargestName = 255, kLargestSalt = 255, kBlock = 64;

// SHA-1 (FIPS 180-4) of some hundred octets, on the stack: the general library's costs four times as
// much for a name. It guards nothing here but the order of a list.
class Sha1 {
 public:
  void block(const std::uint8_t* octets) {
    std::array<std::uint32_t, 80> words;
    for (unsigned i = 0; i < 16; ++i) words[i] = load_u32(octets + 4 * i);
    for (unsigned i = 16; i < 80; ++i)
      words[i] = std::rotl(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
    std::uint32_t a = state_[0], b = state_[1], c = state_[2], d = state_[3], e = state_[4];
    const auto round = [&](std::uint32_t mixed, std::uint32_t constant, std::uint32_t word) {
      const std::uint32_t next = std::rotl(a, 5) + mixed + e + constant + word;
      e = d;
      d = c;
      c = std::rotl(b, 30);
      b = a;
      a = next;
    };
    for (unsigned i = 0; i < 20; ++i) round((b & c) | (~b & d), 0x5a827999, words[i]);
    for (unsigned i = 20; i < 40; ++i) round(b ^ c ^ d, 0x6ed9eba1, words[i]);
    for (unsigned i = 40; i < 60; ++i) round((b & c) | (b & d) | (c & d), 0x8f1bbcdc, words[i]);
    for (unsigned i = 60; i < 80; ++i) round(b ^ c ^ d, 0xca62c1d6, words[i]);
    const std::array<std::uint32_t, 5> added{a, b, c, d, e};
    for (unsigned i = 0; i < 5; ++i) state_[i] += added[i];
  }

  Nsec3Hash digest() const {
    Nsec3Hash digest;
    for (unsigned i = 0; i < 5; ++i) store_u32(digest.data() + 4 * i, state_[i]);
    return digest;
  }

 private:
  std::array<std::uint32_t, 5> state_{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
};

}  // namespace

Nsec3Hash nsec3_hash(BytesView name, BytesView salt) {
  BASE_ASSERT(name.size() <= kLargestName && salt.size() <= kLargestSalt);
  // The message, a 1, zeros, and its length in bits in the last eight octets of the last block.
  std::array<std::uint8_t, kLargestName + kLargestSalt + kBlock + 9> padded;
  auto end = std::copy(name.begin(), name.end(), padded.begin());
  end = std::copy(salt.begin(), salt.end(), end);
  const auto size = static_cast<std::size_t>(end - padded.begin());
  const std::size_t whole = (size + 9 + kBlock - 1) / kBlock * kBlock;
  *end++ = 0x80;
  std::fill(end, padded.begin() + static_cast<std::ptrdiff_t>(whole), std::uint8_t{0});
  store_u32(padded.data() + whole - 4, static_cast<std::uint32_t>(size * 8));
  Sha1 sha1;
  for (std::size_t at = 0; at < whole; at += kBlock) sha1.block(padded.data() + at);
  return sha1.digest();
}

Nsec3Label nsec3_label(const Nsec3Hash& hash) {
  Nsec3Label label;
  label[0] = static_cast<std::uint8_t>(label.size() - 1);
  std::size_t out = 1;
  for (std::size_t at = 0; at < hash.size(); at += 5) {
    std::uint64_t group = 0;
    for (std::size_t i = 0; i < 5; ++i) group = group << 8 | hash[at + i];
    for (int shift = 35; shift >= 0; shift -= 5)
      label[out++] = static_cast<std::uint8_t>(kDigits[group >> shift & 31]);
  }
  return label;
}

Nsec3Hash nsec3_hash_of_label(std::string_view label) {
  Nsec3Hash hash{};
  if (label.size() != sizeof(Nsec3Label) - 1) return hash;
  for (std::size_t at = 0; at < label.size(); at += 8) {
    std::uint64_t group = 0;
    for (std::size_t i = 0; i < 8; ++i) {
      const char letter = label[at + i];
      const auto digit =
          kDigits.find(letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter | 0x20) : letter);
      if (digit == kDigits.npos) return {};
      group = group << 5 | digit;
    }
    for (std::size_t i = 0; i < 5; ++i)
      hash[at / 8 * 5 + i] = static_cast<std::uint8_t>(group >> (32 - 8 * i));
  }
  return hash;
}

Result<wire::Name> nsec3_owner(const wire::Name& apex, const Nsec3Hash& hash) {
  const Nsec3Label label = nsec3_label(hash);
  return apex.child(as_text(BytesView(label).subspan(1)));
}

//   algorithm 1 | flags 1 | iterations 2 | salt length 1 | hash length 1 | next hash 20 | bitmaps
Bytes make_nsec3(const std::set<wire::RRType>& types, const Nsec3Hash& next) {
  Bytes rdata{kSha1, 0, 0, 0, 0, static_cast<std::uint8_t>(next.size())};
  append(rdata, next);
  append(rdata, make_type_bitmaps(types));
  return rdata;
}

Result<Nsec3> parse_nsec3(BytesView rdata) {
  constexpr std::size_t kFixedSize = 5;
  if (rdata.size() < kFixedSize || rdata.size() < kFixedSize + rdata[4] + 1 + sizeof(Nsec3Hash))
    return Error("NSEC3 record: RDATA too short");
  if (rdata[0] != kSha1) return errorf("NSEC3 record: hash algorithm %u", rdata[0]);
  if (load_u16(rdata.data() + 2) != 0)
    return errorf("NSEC3 record: %u iterations", load_u16(rdata.data() + 2));
  Nsec3 nsec3;
  nsec3.opt_out = (rdata[1] & 1) != 0;
  nsec3.salt = to_bytes(rdata.subspan(kFixedSize, rdata[4]));
  rdata = rdata.subspan(kFixedSize + nsec3.salt.size());
  if (rdata[0] != nsec3.next.size()) return Error("NSEC3 record: a hash of another size");
  std::ranges::copy(rdata.subspan(1, nsec3.next.size()), nsec3.next.begin());
  nsec3.types = TRY(TypeBitmaps::parse(rdata.subspan(1 + nsec3.next.size())));
  return nsec3;
}

Bytes with_next(BytesView rdata, const Nsec3Hash& next) {
  constexpr std::size_t kSaltSizeAt = 4;
  Bytes changed = to_bytes(rdata);
  const std::size_t at = kSaltSizeAt + 1 + rdata[kSaltSizeAt] + 1;
  BASE_ASSERT(at + next.size() <= changed.size());
  std::ranges::copy(next, changed.begin() + static_cast<std::ptrdiff_t>(at));
  return changed;
}

Bytes make_nsec3param() { return {kSha1, 0, 0, 0, 0}; }

}  // namespace mutua::dnssec
