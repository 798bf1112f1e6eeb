#pragma once

#include <cstdint>
#include <variant>

#include "authority/access/authenticate.h"

namespace mutua::authority {

struct CheckedSig0 {
  KeyCaller caller;
  ReplayRow replay;
};

// RFC 2931 with the bounds of PROTOCOL.md. A signature holds from 300 s before its inception (the
// sender's clock may be ahead) to its expiration, and spans at most this many seconds.
constexpr std::int64_t kLongestSig0Seconds = 900;
constexpr std::int64_t kClockSkewSeconds = 300;

std::variant<CheckedSig0, Refusal> check_sig0(const Request& request,
                                              const AuthenticationContext& context);

}  // namespace mutua::authority
