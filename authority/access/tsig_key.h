#pragma once

#include "wire/tsig_key.h"

namespace mutua::authority {

// A secret that an operator, a secondary or a primary shares with the authority.
using wire::TsigKey;

}  // namespace mutua::authority
