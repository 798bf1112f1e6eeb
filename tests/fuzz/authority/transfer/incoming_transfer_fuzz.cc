// Any octets as a primary's answer, to an AXFR and to an IXFR: either nothing comes of it, or a
// version of the zone that knows its serial and that a further transfer can start from.
//
// The octets are messages behind their lengths, as on TCP.
#include "authority/transfer/received_changes.h"
#include "authority/zone/master_file.h"
#include "base/assert.h"
#include "zone_transfer/incoming_transfer.h"

namespace {

using namespace mutua;
using namespace mutua::authority;
using namespace mutua::zone_transfer;

std::shared_ptr<const ZoneVersion> present() {
  static const auto version = [] {
    const auto apex = wire::Name::parse("f").value();
    const std::string text = "$TTL 60\n@ SOA ns h 1 1 1 1 60\n@ NS ns\nns A 127.0.0.1\na TXT x\n";
    return ZoneVersion::create(apex, parse_master_file(text, "fuzz", apex).value()).value();
  }();
  return version;
}

void take(BytesView octets, std::optional<std::uint32_t> have) {
  const auto apex = present()->apex();
  std::optional<IncomingTransfer> transfer;
  while (octets.size() >= 2) {
    const std::size_t size = std::min<std::size_t>(load_u16(octets.data()), octets.size() - 2);
    const BytesView bytes = octets.subspan(2, size);
    octets = octets.subspan(2 + size);
    const auto message = wire::parse(bytes);
    if (!message.ok()) return;
    if (!transfer) transfer.emplace(apex, message->header.id, have, IncomingLimits{1 << 20, 1000});
    const auto taken = transfer->take(*message, size);
    if (!taken.ok()) return;
    if (!*taken) continue;
    const auto followed = follow(have ? present().get() : nullptr, apex, transfer->finish());
    if (!followed.ok()) return;
    BASE_ASSERT(followed->version->serial() == followed->changes.back().to);
    BASE_ASSERT(followed->changes.front().from == have.value_or(0));
    return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 64 * 1024) return 0;
  take({data, size}, std::nullopt);
  take({data, size}, 1);
  return 0;
}
