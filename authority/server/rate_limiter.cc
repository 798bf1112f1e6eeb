#include "authority/server/rate_limiter.h"

#include <algorithm>
#include <cstring>

#include "trust/random.h"

namespace mutua::authority {
namespace {

// A bucket: tag 16 | milliseconds 24 | level 24. The level is a leaky bucket's: it rises by kOne
// with each response that was asked for, and falls by `per_second` responses a second. Time wraps
// after 4.7 hours, when a bucket that slept may count as new, or as full for one second: both are
// harmless.
constexpr unsigned kTagBits = 16, kTimeBits = 24, kLevelBits = 24;
constexpr std::uint64_t kTimeMask = (1u << kTimeBits) - 1;
constexpr std::uint64_t kLevelMask = (1u << kLevelBits) - 1;
constexpr std::uint64_t kOne = 16;
constexpr unsigned kIndexBits = 16;  // 65,536 buckets, 512 KiB

std::uint64_t hash_of(BytesView source, RateLimiter::Class response, std::uint64_t seed) {
  std::uint64_t network = 0;
  if (source.size() == 4)
    std::memcpy(&network, source.data(), 3);  // /24
  else
    std::memcpy(&network, source.data(), 7);  // /56
  network |= std::uint64_t{source.size()} << 56;
  std::uint64_t hash = (network ^ seed) + static_cast<std::uint64_t>(response) * 0x9E3779B97F4A7C15;
  hash = (hash ^ hash >> 32) * 0xD6E8FEB86659FD93;
  hash = (hash ^ hash >> 32) * 0xD6E8FEB86659FD93;
  return hash ^ hash >> 32;
}

}  // namespace

std::vector<AddressPrefix> RateLimits::default_exempt() {
  return {AddressPrefix::parse("127.0.0.0/8").value(), AddressPrefix::parse("::1").value()};
}

RateLimiter::RateLimiter(RateLimits limits)
    : limits_(std::move(limits)),
      seed_(std::uint64_t{trust::random_u32()} << 32 | trust::random_u32()),
      buckets_(new std::atomic<std::uint64_t>[std::size_t{1} << kIndexBits]()) {}

bool RateLimiter::is_exempt(BytesView source) const {
  return std::any_of(limits_.exempt.begin(), limits_.exempt.end(),
                     [&](const AddressPrefix& prefix) { return prefix.contains(source); });
}

RateLimiter::Verdict RateLimiter::judge(BytesView source, Class response, std::uint32_t now,
                                        unsigned& turn) {
  const std::uint64_t hash = hash_of(source, response, seed_);
  const std::uint64_t tag = hash >> (64 - kTagBits);
  std::atomic<std::uint64_t>& bucket = buckets_[hash & ((1u << kIndexBits) - 1)];
  const std::uint64_t before = bucket.load(std::memory_order_relaxed);

  const std::uint64_t per_second = limits_.per_second * kOne;
  std::uint64_t time = now & kTimeMask, level = 0;
  if (before >> (kTimeBits + kLevelBits) == tag) {
    const std::uint64_t then = before >> kLevelBits & kTimeMask;
    const std::uint64_t passed = (time - then) & kTimeMask;
    const std::uint64_t drained = passed * per_second / 1000;
    level = before & kLevelMask;
    level -= std::min(level, drained);
    // What has not made a whole unit yet is kept for the next time.
    if (level != 0) time = (then + drained * 1000 / per_second) & kTimeMask;
  }
  const bool is_over = level >= per_second;
  // Also what is dropped counts, to twice the limit: a flood stays cut off for a second after.
  const std::uint64_t most = std::min(2 * per_second, kLevelMask - kOne);
  level = std::min(level + kOne, most);
  bucket.store(tag << (kTimeBits + kLevelBits) | time << kLevelBits | level,
               std::memory_order_relaxed);
  if (!is_over) return Verdict::send;
  if (limits_.slip == 0) return Verdict::drop;
  return ++turn % limits_.slip == 0 ? Verdict::send_short : Verdict::drop;
}

}  // namespace mutua::authority
