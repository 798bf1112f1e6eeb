#pragma once

#include <cstdint>
#include <optional>

#include "authority/dnssec/zone_key.h"
#include "authority/zone/rrset.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "wire/name.h"
#include "wire/types.h"

namespace mutua::authority {

// How long signatures live, and when they are made anew.
struct SignatureTimes {
  std::chrono::seconds validity = std::chrono::hours(14 * 24);
  // This long before its end a signature is replaced.
  std::chrono::seconds renewal = std::chrono::hours(7 * 24);
  // Signatures end up to so much earlier, each by another time, so that they are not all renewed at
  // once.
  std::chrono::seconds jitter = std::chrono::hours(3 * 24);
  // Begins this long ago: clocks differ.
  std::chrono::seconds skew = std::chrono::hours(1);
};

// What one needs of an RRSIG to decide whether it may stay.
struct SignatureFacts {
  wire::RRType covered;
  std::uint8_t algorithm;
  std::uint32_t original_ttl;
  WallTime expiration;
  std::uint16_t key_tag;
};
// Nothing where the RDATA is too short. `now` says which of the times a 32-bit number stands for.
std::optional<SignatureFacts> read_rrsig(BytesView rdata, WallTime now);

// The RRSIG's RDATA over a normalized RRset (RFC 4034 section 3.1.8.1).
Bytes make_rrsig(const wire::Name& zone, const wire::Name& owner, const RRset& rrset,
                 const ZoneKey& key, WallTime inception, WallTime expiration);

}  // namespace mutua::authority
