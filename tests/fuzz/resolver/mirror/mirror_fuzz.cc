// Any octets as a mirror's file, that is, as what a primary may send: either nothing comes of it,
// or a zone that answers every question and is written and read back the same. Nothing of it is
// ever proven.
#include "base/assert.h"
#include "resolver/mirror/mirror_answers.h"
#include "resolver/mirror/mirror_file.h"
#include "resolver/mirror/mirror_proof.h"
#include "trust/digest.h"

namespace {

using namespace mutua;
using namespace mutua::resolver;

constexpr WallTime kNow{std::chrono::seconds(1'800'000'000)};

Bytes as_file(BytesView messages) {
  Bytes content = to_bytes(std::string_view("mutua mirror 1\n"));
  append(content, messages);
  append(content, trust::sha256(content).octets());
  return content;
}

void ask_everything(const MirrorZone& zone) {
  for (const auto& node : zone.nodes()) {
    for (const char* below : {"", "zz", "*"}) {
      const auto name = below[0] ? node->owner.child(below) : Result<wire::Name>(node->owner);
      if (!name) continue;
      for (const auto type : {wire::RRType::a, wire::RRType::srv, wire::RRType::any,
                              wire::RRType::ds, wire::RRType::nsec}) {
        const auto said = answer_from(zone, {*name, type, wire::RRClass::in});
        BASE_ASSERT(said.header.response);
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 64 * 1024) return 0;
  const auto apex = wire::Name::parse("f.").value();
  const auto zone = read_mirror(as_file({data, size}), apex);
  if (!zone) return 0;
  ask_everything(**zone);
  TrustAnchors anchors(apex);
  BASE_ASSERT(anchors.add("f. IN DS 1 15 2 " + std::string(64, '0')).ok());
  const std::atomic<bool> cancelled{false};
  BASE_ASSERT(std::holds_alternative<Flaw>(prove_mirror(*zone, anchors, kNow, nullptr, cancelled)));
  return 0;
}
