#include "authority/server/tapping.h"

#include <utility>

#include "wire/message.h"

namespace mutua::authority {
namespace {

bool is_update(BytesView message) {
  return message.size() >= wire::kHeaderSize &&
         (message[2] >> 3 & 15) == static_cast<unsigned>(wire::Opcode::update);
}

TapExchange update_of(const SocketAddress& source, Transport transport, std::int64_t came) {
  TapExchange exchange;
  exchange.kind = TapExchange::Kind::update;
  exchange.protocol = tap_protocol(transport);
  exchange.peer = source.address_octets();
  exchange.port = source.port();
  exchange.query_time = came;
  return exchange;
}

}  // namespace

TapExchange::Protocol tap_protocol(Transport transport) {
  switch (transport) {
    case Transport::udp:
      return TapExchange::Protocol::udp;
    case Transport::tcp:
      return TapExchange::Protocol::tcp;
    case Transport::tls:
      break;
  }
  return TapExchange::Protocol::tls;
}

Taker tapped(Tap& tap, Taker taker) {
  return [&tap, taker = std::move(taker)](Handover handover) {
    if (!is_update(handover.message)) return taker(std::move(handover));
    const std::int64_t came = tap_time();
    TapExchange update = update_of(handover.source, handover.transport, came);
    update.query = handover.message;
    tap.record_update(update);
    handover.reply = [&tap, came, source = handover.source, transport = handover.transport,
                      reply = std::move(handover.reply)](Bytes response) {
      TapExchange answer = update_of(source, transport, came);
      answer.response = response;
      answer.response_time = tap_time();
      if (!response.empty()) tap.record_update(answer);
      reply(std::move(response));
    };
    return taker(std::move(handover));
  };
}

}  // namespace mutua::authority
