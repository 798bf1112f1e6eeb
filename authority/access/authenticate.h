#pragma once

#include <optional>
#include <span>
#include <utility>
#include <variant>

#include "authority/access/refusal.h"
#include "authority/access/replay_guard.h"
#include "authority/access/source_limits.h"
#include "authority/store/rows.h"
#include "authority/zone/zone_version.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/socket_address.h"
#include "wire/message.h"
#include "wire/rdata.h"
#include "wire/tsig.h"
#include "wire/tsig_key.h"

namespace mutua::authority {

// A message together with the octets that its signature covers.
struct Request {
  BytesView bytes;        // must outlive the Request
  wire::Message message;  // parsed from `bytes`
  SocketAddress source;
  bool tcp = false;
};

// Who signed: an operator with a shared secret, or the holder of a private key.
struct OperatorCaller {
  wire::Name key_name;
};
struct KeyCaller {
  wire::Name signer;
  Bytes key_rdata;       // the KEY record that verified
  bool in_zone = false;  // it stands in the zone at `signer`; otherwise the message brought it
};
using Caller = std::variant<OperatorCaller, KeyCaller>;

// How the response to a TSIG request is signed (RFC 8945 section 5.3).
struct ResponseSignature {
  const wire::TsigKey* key = nullptr;  // null: the TSIG goes back without a MAC (BADKEY, BADSIG)
  wire::Tsig fields;
  Bytes request_mac;
};

// A request whose signature is good and was not seen before. Only authenticate() makes one.
class AuthenticatedRequest {
 public:
  const wire::Message& message() const { return message_; }
  const Caller& caller() const { return caller_; }
  // To be remembered once the request is dealt with.
  const ReplayRow& replay() const { return replay_; }
  Monotonic monotonic() const { return monotonic_; }
  const std::optional<ResponseSignature>& response_signature() const { return signature_; }

 private:
  friend class AuthenticatedRequestMaker;
  AuthenticatedRequest(wire::Message message, Caller caller, ReplayRow replay, Monotonic monotonic,
                       std::optional<ResponseSignature> signature)
      : message_(std::move(message)),
        caller_(std::move(caller)),
        replay_(replay),
        monotonic_(monotonic),
        signature_(std::move(signature)) {}

  wire::Message message_;
  Caller caller_;
  ReplayRow replay_;
  Monotonic monotonic_;
  std::optional<ResponseSignature> signature_;
};

struct Unauthenticated {
  Refusal refusal;
  std::optional<ResponseSignature> signature;  // where a TSIG goes back
};

// What authenticate() judges by. References and views live as long as the call.
struct AuthenticationContext {
  std::span<const wire::TsigKey>
      tsig_keys;  // outlive the responses too: they are signed with these
  const ZoneVersion& version;
  const ReplayGuard& replay_guard;
  SourceLimits& limits;
  WallTime now;
  SteadyTime steady_now;
};

// Verifies the TSIG (RFC 8945) or SIG(0) (RFC 2931) of a request, cheap checks first and at most
// two signature verifications. SIG(0) keys are the KEY records at the signer's name in the zone,
// then those that the update itself adds there (a first claim). Refused are signatures whose times
// do not hold now, requests that were seen, and inceptions that go back.
std::variant<AuthenticatedRequest, Unauthenticated> authenticate(
    Request request, const AuthenticationContext& context);

}  // namespace mutua::authority
