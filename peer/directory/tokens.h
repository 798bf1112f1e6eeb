#pragma once

#include <map>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace mutua::peer {

// The key=value tokens of a TXT record, which stand apart by spaces or by character-strings. A
// token without '=' and a second one of the same key are errors.
Result<std::map<std::string, std::string>> parse_tokens(BytesView txt_rdata);

}  // namespace mutua::peer
