#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "trust/digest.h"
#include "wire/name.h"
#include "wire/rrset.h"

namespace mutua::dnssec {

constexpr std::size_t kZoneDigestSize = trust::Sha384::kSize;

// The digest of a whole zone (RFC 8976), scheme SIMPLE with SHA-384: over every record in canonical
// order but the apex ZONEMD and its signatures.
class ZoneDigest {
 public:
  explicit ZoneDigest(const wire::Name& apex);

  // The RRsets of one name, sorted by type, each normalized; the names in canonical order.
  void add(const wire::Name& owner, const wire::RRset& rrset);
  Bytes finish();  // once

 private:
  const wire::Name apex_;
  trust::Sha384 hash_;
  Bytes pending_;
};

// RDATA with this digest for the zone of `serial`.
Bytes make_zonemd(std::uint32_t serial, BytesView digest);
// The digest of the first ZONEMD of scheme SIMPLE with SHA-384, and of which serial it is.
struct StatedDigest {
  std::uint32_t serial;
  Bytes digest;
};
std::optional<StatedDigest> stated_digest(const wire::RRset& zonemd);

}  // namespace mutua::dnssec
