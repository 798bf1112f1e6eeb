#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "base/bytes.h"

namespace mutua::authority {

using SipKey = std::array<std::uint8_t, 16>;

// SipHash-2-4 (Aumasson, Bernstein 2012): a keyed hash of short input, fast enough for each packet.
inline std::uint64_t siphash(const SipKey& key, BytesView input) {
  static_assert(std::endian::native == std::endian::little);
  const auto load = [](const std::uint8_t* at) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof word);
    return word;
  };
  const std::uint64_t k0 = load(key.data()), k1 = load(key.data() + 8);
  std::uint64_t v0 = k0 ^ 0x736f6d6570736575, v1 = k1 ^ 0x646f72616e646f6d;
  std::uint64_t v2 = k0 ^ 0x6c7967656e657261, v3 = k1 ^ 0x7465646279746573;
  const auto round = [&] {
    v0 += v1, v1 = std::rotl(v1, 13), v1 ^= v0, v0 = std::rotl(v0, 32);
    v2 += v3, v3 = std::rotl(v3, 16), v3 ^= v2;
    v0 += v3, v3 = std::rotl(v3, 21), v3 ^= v0;
    v2 += v1, v1 = std::rotl(v1, 17), v1 ^= v2, v2 = std::rotl(v2, 32);
  };
  const auto absorb = [&](std::uint64_t word) {
    v3 ^= word;
    round(), round();
    v0 ^= word;
  };
  const std::size_t whole = input.size() / 8 * 8;
  for (std::size_t at = 0; at < whole; at += 8) absorb(load(input.data() + at));
  std::uint64_t last = std::uint64_t{input.size()} << 56;
  for (std::size_t at = whole; at < input.size(); ++at)
    last |= std::uint64_t{input[at]} << (8 * (at - whole));
  absorb(last);
  v2 ^= 0xFF;
  round(), round(), round(), round();
  return v0 ^ v1 ^ v2 ^ v3;
}

}  // namespace mutua::authority
