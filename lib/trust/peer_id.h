#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "trust/key.h"

namespace mutua::trust {

// KEY flags of peers and owners: a host key (RFC 2535 section 3.1.2, name type 2 in "entity" form
// is 512, as dnssec-keygen -n HOST writes it).
constexpr std::uint16_t kHostKeyFlags = 512;

// The KEY RDATA of a peer: flags 512, protocol 3, the algorithm, the key.
Bytes key_rdata(const PublicKey& key);

// The peer's name: lower-case base32 of the first 160 bits of SHA-256 over its KEY RDATA.
// Self-certifying; 32 characters, one DNS label.
std::string peer_id(BytesView key_rdata);
std::string peer_id(const PublicKey& key);
bool is_peer_id(std::string_view label);

}  // namespace mutua::trust
