#pragma once

#include <cstdint>
#include <functional>

#include "base/bytes.h"
#include "base/result.h"
#include "wire/message.h"
#include "wire/name.h"

namespace mutua::wire {

// TSIG, RFC 8945: the framing. The cryptography is the caller's.
struct Tsig {
  Name key_name;
  Name algorithm;                 // "hmac-sha256."
  std::uint64_t time_signed = 0;  // seconds since 1970, 48 bits
  std::uint16_t fudge = 300;      // seconds
  Bytes mac;
  std::uint16_t original_id = 0;
  Rcode error = Rcode::noerror;
  Bytes other;
};

Result<Tsig> read_tsig(BytesView bytes, const Message& message);

// What the MAC covers (RFC 8945 section 4.3): the request's MAC with its length in front (in
// responses), the message before the TSIG with the original id, the TSIG variables.
Bytes tsig_signed_bytes(BytesView before_signature, const Tsig& tsig, BytesView request_mac);
Bytes tsig_signed_bytes_of(BytesView bytes, const Message& message, const Tsig& tsig,
                           BytesView request_mac);

// The same for every message but the first of an answer of several (section 5.3.1): the MAC of the
// message before, this message, the time and the fudge.
Bytes tsig_continued_bytes(BytesView before_signature, const Tsig& tsig, BytesView mac_before);

// `message` with this TSIG record appended, MAC and all.
Bytes append_tsig(Bytes message, const Tsig& tsig);

// `message` with the TSIG record appended; `fields.mac` is ignored, `mac_of` makes it. Where
// `mac_of` is empty the MAC stays empty (BADKEY and BADSIG responses).
Bytes sign_tsig(Bytes message, Tsig fields, BytesView request_mac,
                const std::function<Bytes(BytesView)>& mac_of);

}  // namespace mutua::wire
