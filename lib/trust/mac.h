#pragma once

#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace mutua::trust {

// HMAC by its TSIG name: hmac-sha256, hmac-sha384, hmac-sha512 (RFC 8945 section 6).
bool is_mac_algorithm(std::string_view name);
Result<Bytes> hmac(std::string_view algorithm, BytesView secret, BytesView message);

// Compares in a time that does not depend on the content.
bool equal_in_constant_time(BytesView a, BytesView b);

}  // namespace mutua::trust
