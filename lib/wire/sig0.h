#pragma once

#include <cstdint>
#include <functional>

#include "base/bytes.h"
#include "base/result.h"
#include "wire/message.h"
#include "wire/name.h"

namespace mutua::wire {

// SIG(0), RFC 2931: the framing. The cryptography is the caller's.
struct Sig0 {
  std::uint8_t algorithm = 0;
  std::uint32_t expiration = 0, inception = 0;  // seconds since 1970, modulo 2^32
  std::uint16_t key_tag = 0;
  Name signer;
  Bytes signature;
};

// The SIG(0) record of a parsed message; `bytes` are what it was parsed from.
Result<Sig0> read_sig0(BytesView bytes, const Message& message);

// What the signature covers: the SIG RDATA without the signature, the signer's name expanded and
// in lower case, then the message as it was before the SIG was appended (ARCOUNT less one).
// `before_signature` is the message up to the SIG record, its ARCOUNT already lowered.
Bytes sig0_signed_bytes(BytesView before_signature, const Sig0& sig0);

// The same for a received message, cut at its signature.
Bytes sig0_signed_bytes_of(BytesView bytes, const Message& message, const Sig0& sig0);

// `message` with the SIG(0) record appended; `fields.signature` is ignored, `sign` makes it.
Bytes sign_sig0(Bytes message, Sig0 fields, const std::function<Bytes(BytesView)>& sign);

// Whether the last additional record of a message is a SIG. For sieving floods: reads what it must
// and believes the counts; false where anything is malformed.
bool carries_sig0(BytesView message);

}  // namespace mutua::wire
