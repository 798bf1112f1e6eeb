#pragma once

#include "base/bytes.h"

namespace mutua::resolver {

// Whether what a client sent may be said again to another peer, judged by the octets alone.
enum class ReplaySafety {
  safe,     // nothing yet; a TLS handshake that nobody answered; one idempotent HTTP/1 request
  unknown,  // another protocol
  unsafe,   // an HTTP/1 request that may act twice (RFC 9110 section 9.2.2): POST, PATCH, CONNECT
};

// PURE.
ReplaySafety replay_safety(BytesView sent);

}  // namespace mutua::resolver
