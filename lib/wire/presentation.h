#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/message.h"

namespace mutua::wire {

// The text of master files (RFC 1035 section 5, RFC 3597), by ldns.

// One record on one line: "owner TTL class type rdata". Relative names are taken below `origin`.
Result<Record> record_from_text(std::string_view text, std::uint32_t default_ttl,
                                const Name& origin);
std::string to_text(const Record& record);
std::string rdata_to_text(RRType type, BytesView rdata);

}  // namespace mutua::wire
