#pragma once

#include <cstdint>

#include "authority/zone/folded_name.h"
#include "authority/zone/zone_version.h"
#include "wire/types.h"

namespace mutua::authority {

// Where a name leads inside a zone: RFC 1034 section 4.3.2 step 3, RFC 4592, RFC 6672.
struct Lookup {
  enum class Kind {
    found,       // `node` is the name's own
    wildcard,    // `node` is the wildcard that speaks for the name
    name_error,  // the name does not exist; `node` is null
    delegation,  // `node` holds the NS of a zone cut at or above the name
    dname,       // `node` holds a DNAME above the name
  };
  Kind kind;
  const ZoneNode* node;
  unsigned labels;  // of `node`'s owner where that is the name itself or an ancestor
};

// `name` is at or below the apex, `hash` is its name_hash(). No lock, no allocation; one probe
// for a name that exists in a zone without cuts, at most 9 for any other name in such a zone.
// `node`: what version.node() says of the name.
Lookup look_up(const ZoneVersion& version, const FoldedName& name, const ZoneNode* node,
               wire::RRType type);

}  // namespace mutua::authority
