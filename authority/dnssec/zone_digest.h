#pragma once

#include "authority/zone/rrset.h"
#include "authority/zone/zone_version.h"
#include "base/bytes.h"

namespace mutua::authority {

// The digest of a whole zone (RFC 8976), scheme SIMPLE with SHA-384: over every record in canonical
// order but the apex ZONEMD and its signatures. O(zone): about a second for a million records.
Bytes zone_digest(const ZoneVersion& version);

// The apex ZONEMD RRset with this digest for the version's serial; 48 zeros make a placeholder.
RRset make_zonemd(const ZoneVersion& version, BytesView digest);

enum class DigestCheck {
  absent,  // no ZONEMD, or none of a kind known here
  good,
  wrong,  // a digest that does not match, or a ZONEMD of another serial
};
DigestCheck check_zonemd(const ZoneVersion& version);

}  // namespace mutua::authority
