#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "trust/digest.h"
#include "wire/name.h"

namespace mutua::authority {

// A name that a peer registered by SRP, and until when (RFC 9664, RFC 9665). There is one row for
// the host and one for each of its service instances.
struct LeaseRow {
  wire::Name owner;                // of the host's or the instance's records
  wire::Name host;                 // the host that registered it; the owner itself for a host
  trust::Digest key;               // key_id() of the key that holds the name
  std::optional<WallTime> expiry;  // of the records; nothing once they have lapsed or were removed
  WallTime key_expiry;             // until then nobody else may have the name

  bool is_host() const { return owner == host; }
  bool operator==(const LeaseRow&) const = default;
};

// A signed request that must not be executed again.
struct ReplayRow {
  trust::Digest key;           // key_id() of a SIG(0) key, or that of a TSIG key's name
  trust::Digest fingerprint;   // of what was signed, not of the signature: ECDSA is malleable
  std::int64_t signed_at = 0;  // seconds since 1970: inception, or TSIG's time signed
  WallTime expiry;             // from then on the signature's own times refuse a copy

  bool operator==(const ReplayRow&) const = default;
};

}  // namespace mutua::authority
