#include "authority/access/tsig_check.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "authority/access/key_identity.h"
#include "trust/mac.h"

namespace mutua::authority {
namespace {

using wire::ExtendedError;
using wire::Rcode;

// A client's own fudge counts only up to this: it is how long a request must be remembered.
constexpr std::int64_t kLargestFudgeSeconds = 300;
constexpr std::size_t kShortestMac = 10;  // RFC 8945 section 5.2.2.1

Unauthenticated malformed(std::string text) {
  return {{Rcode::formerr, ExtendedError::other, std::move(text)}, std::nullopt};
}

Unauthenticated not_authentic(Rcode error, std::string text, ResponseSignature signature) {
  signature.fields.error = error;
  return {{Rcode::notauth, ExtendedError::prohibited, std::move(text)}, std::move(signature)};
}

const wire::TsigKey* find_key(std::span<const wire::TsigKey> keys, const wire::Tsig& tsig) {
  const auto found = std::find_if(keys.begin(), keys.end(), [&](const wire::TsigKey& key) {
    const auto algorithm = wire::Name::parse(key.algorithm);
    return key.name == tsig.key_name && algorithm.ok() && *algorithm == tsig.algorithm;
  });
  return found == keys.end() ? nullptr : &*found;
}

Bytes server_time(std::int64_t now) {  // 48 bits
  Bytes out;
  append_u16(out, static_cast<std::uint16_t>(now >> 32));
  append_u32(out, static_cast<std::uint32_t>(now));
  return out;
}

}  // namespace

std::variant<CheckedTsig, Unauthenticated> check_tsig(const Request& request,
                                                      std::span<const wire::TsigKey> keys,
                                                      WallTime wall_now) {
  auto tsig = wire::read_tsig(request.bytes, request.message);
  if (!tsig.ok()) return malformed("TSIG: " + tsig.error().message());
  const std::int64_t now = wall_now.time_since_epoch().count();
  const auto time_signed = static_cast<std::int64_t>(tsig->time_signed);

  ResponseSignature signature;
  signature.fields = *tsig;
  signature.fields.mac.clear();
  signature.fields.other.clear();

  const wire::TsigKey* key = find_key(keys, *tsig);
  if (!key) {
    return not_authentic(Rcode::badkey, "TSIG: no such key", std::move(signature));
  }
  const Bytes covered = wire::tsig_signed_bytes_of(request.bytes, request.message, *tsig, {});
  const auto mac = trust::hmac(key->algorithm, key->secret, covered);
  if (!mac.ok()) return not_authentic(Rcode::badkey, mac.error().message(), std::move(signature));
  const std::size_t length = tsig->mac.size();
  if (length > mac->size() || length < std::max(kShortestMac, mac->size() / 2)) {
    return malformed("TSIG: a MAC of an impossible length");
  }
  if (!trust::equal_in_constant_time(BytesView(*mac).first(length), tsig->mac)) {
    return not_authentic(Rcode::badsig, "TSIG: the MAC does not match", std::move(signature));
  }

  signature.key = key;
  signature.request_mac = tsig->mac;
  const std::int64_t fudge = std::min<std::int64_t>(tsig->fudge, kLargestFudgeSeconds);
  if (time_signed < now - fudge || time_signed > now + fudge) {
    signature.fields.other = server_time(now);
    return not_authentic(Rcode::badtime, "TSIG: the time signed is not ours", std::move(signature));
  }
  signature.fields.time_signed = static_cast<std::uint64_t>(now);
  if (length < mac->size()) {
    return not_authentic(Rcode::badtrunc, "TSIG: truncated MACs are not accepted",
                         std::move(signature));
  }
  ReplayRow replay;
  replay.key = tsig_key_id(key->name);
  replay.fingerprint = trust::sha256(covered);
  replay.signed_at = time_signed;
  replay.expiry = WallTime(std::chrono::seconds(time_signed + kLargestFudgeSeconds + 1));
  return CheckedTsig{std::move(signature), replay};
}

}  // namespace mutua::authority
