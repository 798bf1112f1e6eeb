#include "authority/access/response_signature.h"

#include <utility>
#include <variant>

#include "authority/access/authenticate.h"
#include "authority/access/tsig_check.h"
#include "trust/mac.h"
#include "wire/message.h"
#include "wire/tsig.h"

namespace mutua::authority {
namespace {

// To what only the stricter parser refuses: FORMERR, behind the question's id.
Bytes malformed(Bytes response) {
  wire::Message answer;
  if (const auto header = wire::parse_header(response)) answer.header = *header;
  answer.header.rcode = wire::Rcode::formerr;
  answer.header.authoritative = false;
  return answer.to_wire();
}

}  // namespace

Bytes sign_response(Bytes message, const ResponseSignature& signature) {
  if (!signature.key) return wire::sign_tsig(std::move(message), signature.fields, {}, {});
  return wire::sign_tsig(
      std::move(message), signature.fields, signature.request_mac, [&](BytesView covered) {
        // The algorithm verified the request a moment ago: it is known.
        return trust::hmac(signature.key->algorithm, signature.key->secret, covered).value_or({});
      });
}

Bytes answer_signed_question(BytesView question, Bytes response,
                             std::span<const wire::TsigKey> keys, WallTime now) {
  auto parsed = wire::parse(question);
  if (!parsed.ok() || !parsed->signature_offset || parsed->signature_type != wire::RRType::tsig)
    return malformed(std::move(response));
  const Request request{question, *std::move(parsed), {}, false};
  const auto checked = check_tsig(request, keys, now);
  if (const auto* good = std::get_if<CheckedTsig>(&checked))
    return sign_response(std::move(response), good->signature);
  const auto& failed = std::get<Unauthenticated>(checked);
  Bytes refusal = request.message.response(failed.refusal.rcode).to_wire();
  return failed.signature ? sign_response(std::move(refusal), *failed.signature) : refusal;
}

}  // namespace mutua::authority
