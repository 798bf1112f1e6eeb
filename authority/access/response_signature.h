#pragma once

#include <span>

#include "base/bytes.h"
#include "base/clock.h"
#include "wire/tsig_key.h"

namespace mutua::authority {

struct ResponseSignature;

// `message`, a response, with the TSIG that belongs to it.
Bytes sign_response(Bytes message, const ResponseSignature& signature);

// The response to a question that ends with a TSIG (RFC 8945 section 5.3): `response` signed where
// the question's signature holds, otherwise one that says what is wrong with it. Nothing is
// remembered: a question may come twice. Thread-safe.
Bytes answer_signed_question(BytesView question, Bytes response,
                             std::span<const wire::TsigKey> keys, WallTime now);

}  // namespace mutua::authority
