#include "authority/server/tcp_connection.h"

namespace mutua::authority {
namespace {

// A buffer that has become empty keeps room for ordinary messages only.
void release_if_large(Bytes& buffer) {
  constexpr std::size_t kKept = 16 * 1024;
  if (buffer.empty() && buffer.capacity() > kKept) buffer = Bytes();
}

}  // namespace

bool TcpConnection::answer_requests(const ZoneVersion& version, Recursion recursion,
                                    const HandOver& hand_over, std::span<std::uint8_t> scratch) {
  std::size_t at = 0;
  while (!broken_ && !at_limit() && in_.size() - at >= 2) {
    const std::size_t size = load_u16(in_.data() + at);
    if (in_.size() - at - 2 < size) break;
    const BytesView message = BytesView(in_).subspan(at + 2, size);
    if (!answer_one(message, version, recursion, hand_over, scratch)) broken_ = true;
    at += 2 + size;
  }
  in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(at));
  release_if_large(in_);
  return at != 0;
}

bool TcpConnection::answer_one(BytesView message, const ZoneVersion& version, Recursion recursion,
                               const HandOver& hand_over, std::span<std::uint8_t> scratch) {
  const Answered answered = answer(message, Transport::tcp, recursion, version, scratch);
  const bool forwards = answered.kind == Answered::Kind::not_ours &&
                        recursion == Recursion::offered && asks_for_recursion(message);
  if (answered.kind == Answered::Kind::update || forwards) {
    if (!hand_over(answered.kind, message)) return false;
    ++owed_;
    return true;
  }
  // What gets no answer over UDP for fear of loops has no place in a stream.
  if (answered.kind == Answered::Kind::silent) return false;
  queue(scratch.first(answered.size));
  return true;
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
