#include "resolver/name_list/zone_transfer.h"

#include <random>

#include "base/clock.h"
#include "stub_client/dns_stream.h"

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
                           const std::function<void(const wire::Record&)>& take) {
  const std::string what = "transfer " + zone.to_text() + " from " + authority.to_text();
  const auto id = static_cast<std::uint16_t>(std::random_device()());
  const SteadyTime deadline = std::chrono::steady_clock::now() + patience;
  auto stream = stub_client::DnsStream::connect(authority, deadline);
  if (!stream) return stream.error().in(what);
  if (const auto sent = stream->send(question_for(zone, id), deadline); !sent)
    return sent.error().in(what);
  bool begun = false;
  for (std::size_t octets = 0; octets < kLongestTransfer;) {
    const auto bytes = stream->receive(deadline);
    if (!bytes) return bytes.error().in(what);
    octets += bytes->size();
    const auto message = wire::parse(*bytes);
    if (!message) return message.error().in(what);
    if (!message->header.response || message->header.id != id)
      return Error(what + ": not an answer to it");
    if (message->header.rcode != wire::Rcode::noerror) return Error(what + ": refused");
    for (const wire::Record& record : message->answer) {
      const bool is_soa = record.type == wire::RRType::soa && record.owner == zone;
      if (!begun && !is_soa) return Error(what + ": does not begin with its SOA");
      if (begun && is_soa) return {};
      begun = true;
      if (record.owner.is_at_or_below(zone)) take(record);
    }
    if (message->answer.empty()) return Error(what + ": a message without records");
  }
  return Error(what + ": too long");
}

}  // namespace mutua::resolver
