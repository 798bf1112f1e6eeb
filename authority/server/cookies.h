#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "authority/query/response_writer.h"
#include "authority/server/siphash.h"
#include "base/bytes.h"
#include "base/result.h"

namespace mutua::authority {

// Server cookies (RFC 7873) as in RFC 9018, so that servers behind one address that share a secret
// accept each other's:
//
//   client cookie 8 | version 1 | reserved 3 | time 4 | SipHash-2-4 of all of it and the address 8
//
// Immutable; no allocation in judge().
class Cookies {
 public:
  // The first secret makes new cookies; cookies of all are accepted, so that a secret can be
  // replaced without a break. At least one.
  explicit Cookies(std::vector<SipKey> secrets) : secrets_(std::move(secrets)) {}
  // Secrets as 32 hexadecimal digits each, one a line.
  static Result<std::vector<SipKey>> parse_secrets(std::string_view text);
  static Cookies random();

  struct Verdict {
    bool is_valid;      // the client has shown that it receives what is sent to its address
    FullCookie answer;  // what goes into the response
  };
  // `option`: the data of a question's COOKIE option; `source`: 4 or 16 octets; `now`: seconds
  // since 1970, as far as 32 bits go.
  Verdict judge(BytesView option, BytesView source, std::uint32_t now) const;

 private:
  std::vector<SipKey> secrets_;
};

}  // namespace mutua::authority
