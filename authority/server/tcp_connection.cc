#include "authority/server/tcp_connection.h"

#include <span>

#include "authority/server/tapping.h"

namespace mutua::authority {
namespace {

// A buffer that has become empty keeps room for ordinary messages only.
void release_if_large(Bytes& buffer) {
  constexpr std::size_t kKept = 16 * 1024;
  if (buffer.empty() && buffer.capacity() > kKept) buffer = Bytes();
}

}  // namespace

std::optional<BytesView> TcpConnection::request_at(std::size_t at) const {
  if (in_.size() - at < 2) return std::nullopt;
  const std::size_t size = load_u16(in_.data() + at);
  if (in_.size() - at - 2 < size) return std::nullopt;
  return BytesView(in_).subspan(at + 2, size);
}

// Those that came whole from `at` on, as many as there is room for.
unsigned TcpConnection::begin_requests(std::size_t at, const Surroundings& surroundings) const {
  unsigned count = 0;
  for (Answering& answering : surroundings.scratch.answerings) {
    const auto message = request_at(at);
    if (!message) break;
    answering.begin(*message, surroundings.version, surroundings.context.list);
    at += 2 + message->size();
    ++count;
  }
  return count;
}

bool TcpConnection::answer_requests(const Surroundings& surroundings) {
  Scratch& scratch = surroundings.scratch;
  std::size_t at = 0;
  for (unsigned count = 1; count > 0 && !broken_ && !at_limit();) {
    count = begin_requests(at, surroundings);
    advance_together(std::span(scratch.answerings).first(count));
    for (unsigned i = 0; i < count && !broken_ && !at_limit(); ++i) {
      const BytesView message = *request_at(at);
      if (!answer_one(message, scratch.answerings[i], surroundings)) broken_ = true;
      at += 2 + message.size();
    }
  }
  in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(at));
  release_if_large(in_);
  return at != 0;
}

bool TcpConnection::answer_one(BytesView message, const Answering& answering,
                               const Surroundings& surroundings) {
  surroundings.counters.requests.add(1);
  const AnsweringContext& context = surroundings.context;
  const BytesView option = answering.cookie();
  Cookies::Verdict cookie{false, {}};
  if (!option.empty()) {
    cookie = context.cookies.load(std::memory_order_acquire)
                 ->judge(option, peer_.address_octets(), surroundings.seconds);
  }
  const Answered answered =
      answering.finish(transport(), context.recursion(), surroundings.scratch.response,
                       option.empty() ? nullptr : &cookie.answer);
  return respond(message, answered, surroundings);
}

bool TcpConnection::respond(BytesView message, const Answered& answered,
                            const Surroundings& surroundings) {
  const HandOver& hand_over = surroundings.hand_over;
  if (answered.kind == Answered::Kind::transfer && hand_over(answered.kind, message)) {
    if (surroundings.tap) tell(message, {}, surroundings);
    return true;
  }
  const bool forwards = answered.kind == Answered::Kind::not_ours && surroundings.context.forward &&
                        asks_for_recursion(message);
  if (answered.kind == Answered::Kind::update || forwards) {
    surroundings.counters.handed_over.add(1);
    if (!hand_over(answered.kind, message)) return false;
    ++owed_;
    return true;
  }
  // What gets no answer over UDP for fear of loops has no place in a stream.
  if (answered.kind == Answered::Kind::silent) return false;
  const BytesView response = BytesView(surroundings.scratch.response).first(answered.size);
  surroundings.counters.responses[response[3] & 15].add(1);
  Bytes with_tsig;
  if (answered.kind == Answered::Kind::to_sign)
    with_tsig = surroundings.context.sign(message, response);
  const BytesView leaving =
      answered.kind == Answered::Kind::to_sign ? BytesView(with_tsig) : response;
  queue(leaving);
  if (surroundings.tap) tell(message, leaving, surroundings);
  return true;
}

// Of a transfer the question alone: the zone would drown everything else.
void TcpConnection::tell(BytesView message, BytesView response,
                         const Surroundings& surroundings) const {
  surroundings.tap->record({TapExchange::Kind::question, tap_protocol(transport()),
                            peer_.address_octets(), peer_.port(), surroundings.came,
                            response.empty() ? 0 : tap_time(), message, response});
  surroundings.tap->publish();
}

bool TcpConnection::continue_stream() {
  bool any = false;
  while (stream_ && !broken_ && unsent().size() < kMostUnsent) {
    const auto message = stream_->next();
    if (!message.ok()) broken_ = true;
    if (!message.ok() || message->empty())
      stream_.reset();
    else
      queue(*message);
    any = true;
  }
  return any;
}

void TcpConnection::replied(BytesView response) {
  BASE_ASSERT(owed_ > 0);
  --owed_;
  if (!response.empty()) queue(response);
}

void TcpConnection::queue(BytesView response) {
  append_u16(out_, static_cast<std::uint16_t>(response.size()));
  append(out_, response);
}

void TcpConnection::sent(std::size_t octets) {
  out_sent_ += octets;
  if (out_sent_ < out_.size()) return;
  out_.clear();
  out_sent_ = 0;
  release_if_large(out_);
}

}  // namespace mutua::authority
