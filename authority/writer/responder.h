#pragma once

#include <optional>

#include "authority/access/authenticate.h"
#include "authority/access/refusal.h"
#include "base/bytes.h"
#include "wire/edns.h"
#include "wire/message.h"

namespace mutua::authority {

// All that the answer to one update depends on.
struct UpdateAnswer {
  wire::Message request;
  std::optional<Refusal> refusal;  // nothing: NOERROR
  std::optional<wire::UpdateLease> granted;
  std::optional<ResponseSignature> signature;
};

// The answer in wire format, signed where the request had a TSIG. The refusal's text goes along as
// an extended DNS error where the request had an OPT (RFC 8914).
Bytes render(const UpdateAnswer& answer);

}  // namespace mutua::authority
