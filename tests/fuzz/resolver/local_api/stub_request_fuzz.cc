// The stub listener's reading of a client's octets, and every answer made from it.

#include "base/assert.h"
#include "resolver/local_api/stub_answers.h"

using namespace mutua;
using namespace mutua::resolver;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView bytes(data, size);
  const StubRequest request = read_stub_request(bytes);
  const LookupAnswer held{LookupAnswer::Status::found, Ipv4{0x7fc80102}, std::nullopt,
                          std::chrono::seconds(60)};
  switch (request.kind) {
    case StubRequest::Kind::drop:
      return 0;
    case StubRequest::Kind::error:
      BASE_ASSERT(wire::parse(answer_error(request.message, request.rcode)).ok());
      break;
    case StubRequest::Kind::address:
      BASE_ASSERT(wire::parse(answer_held(request.message, held)).ok());
      break;
    case StubRequest::Kind::reverse:
      BASE_ASSERT(wire::parse(answer_reverse(request.message, "blog.fed.example")).ok());
      BASE_ASSERT(wire::parse(answer_reverse(request.message, std::nullopt)).ok());
      break;
    case StubRequest::Kind::pass_on:
      break;
  }
  // The upstream's octets are not trusted either: here the same ones play them.
  const Bytes sent = truncated(request.message, bytes);
  BASE_ASSERT(sent.size() <= udp_limit(request.message) || sent.size() == bytes.size());
  return 0;
}
