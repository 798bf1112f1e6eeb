#include "authority/access/sig0_check.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "authority/access/key_identity.h"
#include "trust/key.h"
#include "wire/rdata.h"
#include "wire/sig0.h"

namespace mutua::authority {
namespace {

using wire::ExtendedError;
using wire::Rcode;

constexpr std::size_t kSignatureSize = 64;
constexpr std::size_t kMostVerifications = 2;
constexpr std::uint8_t kDnssecProtocol = 3;

Refusal refused(ExtendedError code, std::string text) {
  return {Rcode::refused, code, "SIG(0): " + std::move(text)};
}

// The wire's 32-bit time as the moment nearest to `now` that it can mean (RFC 4034 section 3.1.5).
std::int64_t nearest(std::uint32_t wire_time, std::int64_t now) {
  return now + static_cast<std::int32_t>(wire_time - static_cast<std::uint32_t>(now));
}

std::optional<Refusal> check_times(const wire::Sig0& sig0, std::int64_t now) {
  if (sig0.inception == 0 && sig0.expiration == 0) {
    return refused(ExtendedError::invalid_data, "inception and expiration are 0");
  }
  const std::int64_t inception = nearest(sig0.inception, now);
  const std::int64_t expiration = nearest(sig0.expiration, now);
  if (expiration < now) return refused(ExtendedError::signature_expired, "the signature expired");
  if (inception > now + kClockSkewSeconds) {
    return refused(ExtendedError::signature_not_yet_valid, "the signature is not valid yet");
  }
  if (expiration < inception || expiration - inception > kLongestSig0Seconds) {
    return refused(ExtendedError::invalid_data, "a signature may be valid for at most 900 s");
  }
  return std::nullopt;
}

bool could_have_signed(BytesView key_rdata, const wire::Sig0& sig0) {
  const auto key = wire::parse_key(key_rdata);
  return key.ok() && key->protocol == kDnssecProtocol && key->algorithm == sig0.algorithm &&
         (key->flags == 0 || key->flags == 512 || key->flags == 513) &&
         wire::key_tag(key_rdata) == sig0.key_tag;
}

struct Candidate {
  Bytes key_rdata;
  bool in_zone;
};

// The keys worth a verification: the zone's word first.
std::vector<Candidate> find_candidates(const Request& request, const ZoneVersion& version,
                                       const wire::Sig0& sig0) {
  std::vector<Candidate> candidates;
  const auto consider = [&](const Bytes& key_rdata, bool in_zone) {
    if (candidates.size() >= kMostVerifications || !could_have_signed(key_rdata, sig0)) return;
    for (const Candidate& earlier : candidates) {
      if (is_same_key(earlier.key_rdata, key_rdata)) return;
    }
    candidates.push_back({key_rdata, in_zone});
  };
  if (const auto keys = version.find(sig0.signer, wire::RRType::key)) {
    for (const Bytes& key_rdata : keys->rdatas) consider(key_rdata, true);
  }
  for (const wire::Record& record : request.message.authority) {
    if (record.type == wire::RRType::key && record.rclass == wire::RRClass::in &&
        record.owner == sig0.signer) {
      consider(record.rdata, false);
    }
  }
  return candidates;
}

std::optional<Refusal> check_replay(const ReplayRow& row, const ReplayGuard& guard) {
  switch (guard.check(row, Monotonic::yes)) {
    case ReplayGuard::Verdict::fresh:
      return std::nullopt;
    case ReplayGuard::Verdict::replayed:
      return refused(ExtendedError::prohibited, "this request was executed before");
    case ReplayGuard::Verdict::older:
      return refused(ExtendedError::prohibited,
                     "signed before a request of this key that came already");
    case ReplayGuard::Verdict::full:
      break;
  }
  return Refusal{Rcode::servfail, ExtendedError::other, "too many requests are remembered"};
}

bool verifies(const Bytes& key_rdata, BytesView covered, const wire::Sig0& sig0) {
  const auto key = wire::parse_key(key_rdata);
  if (!key.ok()) return false;
  const auto public_key = trust::PublicKey::create(key->algorithm, key->public_key);
  return public_key.ok() && public_key->verify(covered, sig0.signature);
}

}  // namespace

std::variant<CheckedSig0, Refusal> check_sig0(const Request& request,
                                              const AuthenticationContext& context) {
  auto sig0 = wire::read_sig0(request.bytes, request.message);
  if (!sig0.ok()) {
    return Refusal{Rcode::formerr, ExtendedError::other, "SIG(0): " + sig0.error().message()};
  }
  const auto ed25519 = static_cast<std::uint8_t>(trust::Algorithm::ed25519);
  const auto ecdsa = static_cast<std::uint8_t>(trust::Algorithm::ecdsa_p256_sha256);
  if (sig0->algorithm != ed25519 && sig0->algorithm != ecdsa) {
    return refused(ExtendedError::not_supported, "neither Ed25519 nor ECDSA P-256");
  }
  if (sig0->signature.size() != kSignatureSize) {
    return refused(ExtendedError::invalid_data, "the signature has a wrong size");
  }
  const std::int64_t now = context.now.time_since_epoch().count();
  if (auto problem = check_times(*sig0, now)) return *std::move(problem);
  if (!sig0->signer.is_at_or_below(context.version.apex())) {
    return refused(ExtendedError::not_authoritative, "the signer is not in this zone");
  }
  if (!context.limits.allows(request.source, request.tcp, context.steady_now)) {
    return refused(ExtendedError::prohibited, "too many bad signatures from this address");
  }
  const auto candidates = find_candidates(request, context.version, *sig0);
  if (candidates.empty()) {
    return refused(ExtendedError::prohibited,
                   "no such key at " + sig0->signer.to_text() + " in the zone or the update");
  }
  const Bytes covered = wire::sig0_signed_bytes_of(request.bytes, request.message, *sig0);
  ReplayRow row;
  row.fingerprint = trust::sha256(covered);
  row.signed_at = nearest(sig0->inception, now);
  row.expiry = WallTime(std::chrono::seconds(row.signed_at + kLongestSig0Seconds + 1));
  for (const Candidate& candidate : candidates) {
    row.key = key_id(candidate.key_rdata);
    // Before the verification, which costs more; a forger learns only that a copy is a copy.
    if (auto problem = check_replay(row, context.replay_guard)) return *std::move(problem);
    context.limits.count_check();
    if (!verifies(candidate.key_rdata, covered, *sig0)) continue;
    return CheckedSig0{{sig0->signer, candidate.key_rdata, candidate.in_zone}, row};
  }
  context.limits.count_failure(request.source, request.tcp, context.steady_now);
  return refused(ExtendedError::prohibited, "the signature does not verify");
}

}  // namespace mutua::authority
