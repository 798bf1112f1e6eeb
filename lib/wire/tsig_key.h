#pragma once

#include <string>

#include "base/bytes.h"
#include "wire/name.h"

namespace mutua::wire {

// A secret that two parties share (RFC 8945).
struct TsigKey {
  Name name;
  std::string algorithm;  // "hmac-sha256", as trust::hmac takes it, without a final dot
  Bytes secret;           // raw octets, not base64
};

}  // namespace mutua::wire
