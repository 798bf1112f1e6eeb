#pragma once

#include <optional>
#include <span>
#include <variant>

#include "authority/access/authenticate.h"

namespace mutua::authority {

struct CheckedTsig {
  ResponseSignature signature;  // for the response
  ReplayRow replay;
};

// RFC 8945 section 5.2: key, MAC, time, truncation, in this order. The
// keys outlive the signature.
std::variant<CheckedTsig, Unauthenticated> check_tsig(const Request& request,
                                                      std::span<const wire::TsigKey> keys,
                                                      WallTime now);

}  // namespace mutua::authority
