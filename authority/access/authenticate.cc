#include "authority/access/authenticate.h"

#include "authority/access/sig0_check.h"
#include "authority/access/tsig_check.h"

namespace mutua::authority {

// The one way to an AuthenticatedRequest: its only caller is authenticate(), below.
class AuthenticatedRequestMaker {
 public:
  static AuthenticatedRequest make(wire::Message message, Caller caller, const ReplayRow& replay,
                                   Monotonic monotonic,
                                   std::optional<ResponseSignature> signature) {
    return AuthenticatedRequest(std::move(message), std::move(caller), replay, monotonic,
                                std::move(signature));
  }
};

namespace {

std::variant<AuthenticatedRequest, Unauthenticated> authenticate_tsig(
    Request request, const AuthenticationContext& context) {
  auto checked = check_tsig(request, context.tsig_keys, context.now);
  if (auto* failed = std::get_if<Unauthenticated>(&checked)) return std::move(*failed);
  auto& tsig = std::get<CheckedTsig>(checked);
  const auto verdict = context.replay_guard.check(tsig.replay, Monotonic::no);
  if (verdict != ReplayGuard::Verdict::fresh) {
    const bool full = verdict == ReplayGuard::Verdict::full;
    return Unauthenticated{
        {full ? wire::Rcode::servfail : wire::Rcode::refused, wire::ExtendedError::prohibited,
         full ? "too many requests are remembered" : "TSIG: this request was executed before"},
        std::move(tsig.signature)};
  }
  OperatorCaller caller{tsig.signature.key->name};
  return AuthenticatedRequestMaker::make(std::move(request.message), std::move(caller), tsig.replay,
                                         Monotonic::no, std::move(tsig.signature));
}

}  // namespace

std::variant<AuthenticatedRequest, Unauthenticated> authenticate(
    Request request, const AuthenticationContext& context) {
  if (!request.message.signature_offset) {
    return Unauthenticated{{wire::Rcode::refused, wire::ExtendedError::prohibited,
                            "updates must be signed, by TSIG or SIG(0)"},
                           std::nullopt};
  }
  if (request.message.signature_type == wire::RRType::tsig) {
    return authenticate_tsig(std::move(request), context);
  }
  auto checked = check_sig0(request, context);
  if (auto* refusal = std::get_if<Refusal>(&checked)) {
    return Unauthenticated{std::move(*refusal), std::nullopt};
  }
  auto& sig0 = std::get<CheckedSig0>(checked);
  return AuthenticatedRequestMaker::make(std::move(request.message), std::move(sig0.caller),
                                         sig0.replay, Monotonic::yes, std::nullopt);
}

}  // namespace mutua::authority
