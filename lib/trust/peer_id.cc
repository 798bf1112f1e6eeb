#include "trust/peer_id.h"

#include <algorithm>

#include "base/encoding.h"
#include "trust/digest.h"

namespace mutua::trust {

Bytes key_rdata(const PublicKey& key) {
  Bytes rdata;
  append_u16(rdata, kHostKeyFlags);
  append_u8(rdata, 3);  // protocol: DNSSEC
  append_u8(rdata, static_cast<std::uint8_t>(key.algorithm()));
  append(rdata, key.raw());
  return rdata;
}

std::string peer_id(BytesView key_rdata) {
  return base32_encode(sha256(key_rdata).octets().first(20));
}

std::string peer_id(const PublicKey& key) { return peer_id(key_rdata(key)); }

bool is_peer_id(std::string_view label) {
  return label.size() == 32 && std::ranges::all_of(label, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '2' && c <= '7');
         });
}

}  // namespace mutua::trust
