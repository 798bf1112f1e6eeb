#include "authority/transfer/stream_signature.h"

#include <utility>

#include "trust/mac.h"

namespace mutua::authority {

Result<Bytes> StreamSignature::sign(Bytes message, WallTime now) {
  wire::Tsig& fields = signature_.fields;
  // A refused key gets its error back without a MAC.
  if (!signature_.key) return wire::sign_tsig(std::move(message), fields, {}, {});
  // Where the error is the client's clock, the time that it signed goes back as it came.
  if (fields.error == wire::Rcode::noerror)
    fields.time_signed = static_cast<std::uint64_t>(now.time_since_epoch().count());
  const Bytes covered = is_first_
                            ? wire::tsig_signed_bytes(message, fields, signature_.request_mac)
                            : wire::tsig_continued_bytes(message, fields, signature_.request_mac);
  fields.mac = TRY(trust::hmac(signature_.key->algorithm, signature_.key->secret, covered));
  signature_.request_mac = fields.mac;
  is_first_ = false;
  return wire::append_tsig(std::move(message), fields);
}

}  // namespace mutua::authority
