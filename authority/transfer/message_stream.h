#pragma once

#include "base/bytes.h"
#include "base/result.h"

namespace mutua::authority {

// The messages that answer one request on a TCP connection, made one at a time as the connection
// has room for them.
class MessageStream {
 public:
  virtual ~MessageStream() = default;

  // The next message, of at most 65535 octets; empty at the end. Fails where it cannot go on: then
  // the connection is closed, so that the other side does not take a part for the whole.
  virtual Result<Bytes> next() = 0;
};

}  // namespace mutua::authority
