#include "authority/access/key_identity.h"

#include <algorithm>

namespace mutua::authority {
namespace {

constexpr std::size_t kFlagsAndProtocol = 3;

BytesView without_flags(BytesView key_rdata) {
  return key_rdata.subspan(std::min(key_rdata.size(), kFlagsAndProtocol));
}

trust::Digest tagged(std::string_view tag, BytesView bytes) {
  trust::Sha256 hash;
  hash.update(as_bytes(tag));
  hash.update(bytes);
  return hash.finish();
}

}  // namespace

trust::Digest key_id(BytesView key_rdata) { return tagged("key:", without_flags(key_rdata)); }

trust::Digest tsig_key_id(const wire::Name& key_name) {
  return tagged("tsig:", key_name.lowered().wire());
}

bool is_same_key(BytesView key_rdata, BytesView other_key_rdata) {
  return std::ranges::equal(without_flags(key_rdata), without_flags(other_key_rdata));
}

}  // namespace mutua::authority
