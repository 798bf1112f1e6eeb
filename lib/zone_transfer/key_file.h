#pragma once

#include <string>

#include "base/result.h"
#include "wire/tsig_key.h"

namespace mutua::zone_transfer {

// A key as configuration files name it, "<name> <algorithm> <path>"; the file at the path holds the
// secret in base64.
Result<wire::TsigKey> read_tsig_key(const std::string& setting);

}  // namespace mutua::zone_transfer
