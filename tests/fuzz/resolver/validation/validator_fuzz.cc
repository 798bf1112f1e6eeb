// Any octets as an authority's answer, judged with keys that are known: nothing that is not signed
// gets through, whatever it is. The first two octets choose the question's type.
#include "base/assert.h"
#include "resolver/validation/validator.h"
#include "trust/key.h"
#include "wire/rdata.h"

namespace {

using namespace mutua;
using namespace mutua::resolver;

constexpr WallTime kNow{std::chrono::seconds(1'800'000'000)};

// The key of RFC 8032 section 7.1's first test: no input is signed by it.
const ZoneKeys& keys() {
  static const ZoneKeys made = [] {
    const Bytes raw = wire::parse_key(Bytes{1,    1,    3,    15,   0xd7, 0x5a, 0x98, 0x01, 0x82,
                                            0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64,
                                            0x07, 0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23,
                                            0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a})
                          ->public_key;
    const Bytes dnskey = wire::make_key({257, 3, 15, raw});
    return ZoneKeys(wire::Name::parse("f.").value(),
                    {{dnskey, 0x6262, trust::PublicKey::create(15, raw).value(), true}});
  }();
  return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto type = static_cast<wire::RRType>(load_u16(data));
  auto message = wire::parse({data + 2, size - 2});
  if (!message || message->question.size() != 1) return 0;
  message->question[0].type = type;
  const wire::Question question = message->question[0];
  BASE_ASSERT(validate(question, keys(), kNow, *message));
  const TrustAnchors anchors = [] {
    TrustAnchors made(wire::Name::parse("f.").value());
    BASE_ASSERT(made.add("f. IN DS 1 15 2 " + std::string(64, '0')).ok());
    return made;
  }();
  BASE_ASSERT(std::holds_alternative<Flaw>(prove_keys(*message, anchors, kNow)));
  return 0;
}
