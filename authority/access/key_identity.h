#pragma once

#include "base/bytes.h"
#include "trust/digest.h"
#include "wire/name.h"

namespace mutua::authority {

// Identifies the key of a KEY record whatever its flags: SHA-256 over algorithm and public key.
trust::Digest key_id(BytesView key_rdata);
// Identifies a TSIG key by its name; never equals a key_id().
trust::Digest tsig_key_id(const wire::Name& key_name);

// The same algorithm and public key; flags do not matter.
bool is_same_key(BytesView key_rdata, BytesView other_key_rdata);

}  // namespace mutua::authority
