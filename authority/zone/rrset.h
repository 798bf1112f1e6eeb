#pragma once

#include "wire/rrset.h"

namespace mutua::authority {

// What zones are made of, under this program's own name.
using wire::normalize;
using wire::OwnedRRset;
using wire::RRset;
using wire::ttl_of;

}  // namespace mutua::authority
