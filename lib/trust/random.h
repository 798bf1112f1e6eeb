#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace mutua::trust {

// Cryptographically strong. Aborts where the machine has no randomness to give.
Bytes random_bytes(std::size_t count);
std::uint32_t random_u32();

}  // namespace mutua::trust
