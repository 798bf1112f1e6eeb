#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace mutua {

// RFC 4648. Hex and base32 are written in lower case without padding; readers accept either case.
std::string hex_encode(BytesView bytes);
Result<Bytes> hex_decode(std::string_view text);
std::string base32_encode(BytesView bytes);
Result<Bytes> base32_decode(std::string_view text);
std::string base64_encode(BytesView bytes);
// White space is skipped; padding is required; anything else is an error.
Result<Bytes> base64_decode(std::string_view text);

}  // namespace mutua
