#include "resolver/name_list/zone_transfer.h"

#include <random>

#include "stub_client/dns_stream.h"
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
  bool begun = false;
  for (std::size_t octets = 0; octets < kLongestTransfer;) {
    const auto bytes = stream->receive(deadline);
    if (!bytes) return bytes.error().in(what);
    octets += bytes->size();
    const auto message = wire::parse(*bytes);
    if (!message) return message.error().in(what);
    if (!message->header.response || message->header.id != id)
      return Error(what + ": not an answer to it");
    if (const auto checked = verifier.check(*bytes, *message, clock.wall_now()); !checked)
      return checked.error().in(what);
    if (message->header.rcode != wire::Rcode::noerror) return Error(what + ": refused");
    for (const wire::Record& record : message->answer) {
      const bool is_soa = record.type == wire::RRType::soa && record.owner == zone;
      if (!begun && !is_soa) return Error(what + ": does not begin with its SOA");
      if (begun && is_soa) {
        const auto ended = verifier.finish();
        return ended ? ended : ended.error().in(what);
      }
      begun = true;
      if (record.owner.is_at_or_below(zone)) take(record);
    }
    if (message->answer.empty()) return Error(what + ": a message without records");
  }
  return Error(what + ": too long");
}

}  // namespace mutua::resolver
