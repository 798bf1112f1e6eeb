#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/bytes.h"

namespace mutua::trust {

// Cryptographically strong. Aborts where the machine has no randomness to give.
Bytes random_bytes(std::size_t count);
std::uint32_t random_u32();
// `count` octets as lower-case hexadecimal digits.
std::string random_hex(std::size_t count);

}  // namespace mutua::trust
