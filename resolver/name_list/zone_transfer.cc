#include "resolver/name_list/zone_transfer.h"

#include <optional>
#include <random>

#include "stub_client/dns_stream.h"
#include "zone_transfer/incoming_transfer.h"
#include "zone_transfer/stream_verifier.h"

namespace mutua::resolver {
namespace {

constexpr std::size_t kLongestTransfer = std::size_t{1} << 30;

Bytes question_for(const wire::Name& zone, std::uint16_t id) {
  wire::Message query;
  query.header.id = id;
  query.question.push_back({zone, wire::RRType::axfr, wire::RRClass::in});
  return query.to_wire();
}

}  // namespace

Result<void> transfer_zone(const SocketAddress& authority, const wire::Name& zone,
                           std::chrono::milliseconds patience,
                           const std::optional<wire::TsigKey>& key, const Clock& clock,
                           const std::function<void(const wire::Record&)>& take) {
  const std::string what = "transfer " + zone.to_text() + " from " + authority.to_text();
  const auto id = static_cast<std::uint16_t>(std::random_device()());
  const SteadyTime deadline = std::chrono::steady_clock::now() + patience;
  auto stream = stub_client::DnsStream::connect(authority, deadline);
  if (!stream) return stream.error().in(what);
  zone_transfer::StreamVerifier verifier(key);
  const Bytes request = TRY(verifier.sign_request(question_for(zone, id), clock.wall_now()));
  if (const auto sent = stream->send(request, deadline); !sent) return sent.error().in(what);
  zone_transfer::IncomingTransfer transfer(zone, id, std::nullopt, {.octets = kLongestTransfer});
  for (;;) {
    const auto bytes = stream->receive(deadline);
    if (!bytes) return bytes.error().in(what);
    const auto message = wire::parse(*bytes);
    if (!message) return message.error().in(what);
    if (const auto checked = verifier.check(*bytes, *message, clock.wall_now()); !checked)
      return checked.error().in(what);
    const auto is_done = transfer.take(*message, bytes->size());
    if (!is_done) return is_done.error().in(what);
    for (const wire::Record& record : transfer.take_records()) take(record);
    if (!*is_done) continue;
    const auto ended = verifier.finish();
    return ended ? ended : ended.error().in(what);
  }
}

}  // namespace mutua::resolver
