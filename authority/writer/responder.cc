#include "authority/writer/responder.h"

#include <string>
#include <utility>

#include "authority/access/response_signature.h"

namespace mutua::authority {
namespace {

constexpr std::size_t kLongestText = 200;  // octets: the answer stays one small datagram

}  // namespace

Bytes render(const UpdateAnswer& answer) {
  const auto rcode = answer.refusal ? answer.refusal->rcode : wire::Rcode::noerror;
  wire::Message response = answer.request.response(rcode);
  if (answer.request.edns) {
    wire::Edns edns;
    if (answer.refusal && !answer.refusal->text.empty()) {
      edns.options.push_back(wire::make_extended_error(
          answer.refusal->code, answer.refusal->text.substr(0, kLongestText)));
    }
    if (!answer.refusal && answer.granted) {
      edns.options.push_back(wire::make_update_lease(*answer.granted));
    }
    response.edns = std::move(edns);
  }
  Bytes bytes = response.to_wire();
  return answer.signature ? sign_response(std::move(bytes), *answer.signature) : bytes;
}

}  // namespace mutua::authority
