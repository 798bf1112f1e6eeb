#pragma once

#include "authority/access/authenticate.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"

namespace mutua::authority {

// Signs the messages of one answer one after another, each MAC over the one before (RFC 8945
// section 5.3.1). Not thread-safe.
class StreamSignature {
 public:
  // `first`: for the first message, as check_tsig() gives it. Its key outlives this object.
  explicit StreamSignature(ResponseSignature first) : signature_(std::move(first)) {}

  Result<Bytes> sign(Bytes message, WallTime now);

 private:
  ResponseSignature signature_;
  bool is_first_ = true;
};

}  // namespace mutua::authority
