#pragma once

#include <optional>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"
#include "wire/message.h"
#include "wire/tsig_key.h"

namespace mutua::zone_transfer {

// Signs a request and verifies the messages that answer it (RFC 8945 section 5.3): the first and
// the last must be signed, and one in a hundred between (section 5.3.1). Without a key it does
// neither. Not thread-safe.
class StreamVerifier {
 public:
  explicit StreamVerifier(std::optional<wire::TsigKey> key) : key_(std::move(key)) {}

  Result<Bytes> sign_request(Bytes message, WallTime now);
  // The next message, in order.
  Result<void> check(BytesView bytes, const wire::Message& message, WallTime now);
  // No message is to follow.
  Result<void> finish() const;

 private:
  std::optional<wire::TsigKey> key_;
  Bytes last_mac_;
  bool is_first_ = true;
  unsigned unsigned_count_ = 0;
  Bytes unsigned_octets_;  // of the messages since the last signature
};

}  // namespace mutua::zone_transfer
