#include "authority/tap/tap_encoder.h"

#include <dnstap.pb-c.h>

namespace mutua::authority {
namespace {

constexpr std::int64_t kNanoseconds = 1'000'000'000;

// The library's views are not const; it only reads them.
ProtobufCBinaryData view(BytesView octets) {
  return {octets.size(), const_cast<std::uint8_t*>(octets.data())};
}

Dnstap__Message__Type type_of(TapExchange::Kind kind, bool is_query) {
  if (kind == TapExchange::Kind::update)
    return is_query ? DNSTAP__MESSAGE__TYPE__UPDATE_QUERY : DNSTAP__MESSAGE__TYPE__UPDATE_RESPONSE;
  return is_query ? DNSTAP__MESSAGE__TYPE__AUTH_QUERY : DNSTAP__MESSAGE__TYPE__AUTH_RESPONSE;
}

Dnstap__SocketProtocol protocol_of(TapExchange::Protocol protocol) {
  switch (protocol) {
    case TapExchange::Protocol::udp:
      return DNSTAP__SOCKET_PROTOCOL__UDP;
    case TapExchange::Protocol::tcp:
      return DNSTAP__SOCKET_PROTOCOL__TCP;
    case TapExchange::Protocol::tls:
      break;
  }
  return DNSTAP__SOCKET_PROTOCOL__DOT;
}

void set_peer(Dnstap__Message& message, const TapExchange& exchange) {
  message.has_socket_family = message.has_socket_protocol = 1;
  message.socket_family =
      exchange.peer.size() == 4 ? DNSTAP__SOCKET_FAMILY__INET : DNSTAP__SOCKET_FAMILY__INET6;
  message.socket_protocol = protocol_of(exchange.protocol);
  message.has_query_address = message.has_query_port = 1;
  message.query_address = view(exchange.peer);
  message.query_port = exchange.port;
}

}  // namespace

void TapEncoder::add(const TapExchange& exchange) {
  if (!exchange.query.empty()) put(exchange, Half::query);
  if (!exchange.response.empty()) put(exchange, Half::response);
}

void TapEncoder::put(const TapExchange& exchange, Half half) {
  const bool is_query = half == Half::query;
  Dnstap__Message message = DNSTAP__MESSAGE__INIT;
  message.type = type_of(exchange.kind, is_query);
  set_peer(message, exchange);
  if (exchange.query_time != 0) {
    message.has_query_time_sec = message.has_query_time_nsec = 1;
    message.query_time_sec = static_cast<std::uint64_t>(exchange.query_time / kNanoseconds);
    message.query_time_nsec = static_cast<std::uint32_t>(exchange.query_time % kNanoseconds);
  }
  if (is_query) {
    message.has_query_message = 1;
    message.query_message = view(exchange.query);
  } else {
    message.has_response_time_sec = message.has_response_time_nsec = 1;
    message.response_time_sec = static_cast<std::uint64_t>(exchange.response_time / kNanoseconds);
    message.response_time_nsec = static_cast<std::uint32_t>(exchange.response_time % kNanoseconds);
    message.has_response_message = 1;
    message.response_message = view(exchange.response);
  }
  Dnstap__Dnstap whole = DNSTAP__DNSTAP__INIT;
  whole.type = DNSTAP__DNSTAP__TYPE__MESSAGE;
  whole.message = &message;
  whole.has_identity = whole.has_version = 1;
  whole.identity = view(as_bytes(identity_));
  whole.version = view(as_bytes(version_));
  const std::size_t start = octets_.size();
  octets_.resize(start + dnstap__dnstap__get_packed_size(&whole));
  dnstap__dnstap__pack(&whole, octets_.data() + start);
  ends_.push_back(octets_.size());
}

std::vector<BytesView> TapEncoder::frames() const {
  std::vector<BytesView> frames;
  std::size_t start = 0;
  for (const std::size_t end : ends_) {
    frames.push_back(BytesView(octets_).subspan(start, end - start));
    start = end;
  }
  return frames;
}

void TapEncoder::clear() {
  octets_.clear();
  ends_.clear();
}

}  // namespace mutua::authority
