// Any octets as a frame from a network card: no datagram, or one within the frame, and the frame
// that answers it can be read as one that goes back.
#include <algorithm>
#include <array>

#include "authority/xdp/datagram_frame.h"
#include "base/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mutua;
  using namespace mutua::authority;
  const BytesView frame(data, size);
  const auto question = read_datagram(frame);
  if (!question) return 0;
  BASE_ASSERT(question->header_size <= kMostFrameHeaders);
  BASE_ASSERT(question->header_size + question->message.size() <= size);
  BASE_ASSERT(question->message.data() == data + question->header_size);
  std::array<std::uint8_t, 2048> out{};
  const std::size_t length = std::min(question->message.size(), out.size() - question->header_size);
  std::copy_n(question->message.begin(), length, out.begin() + question->header_size);
  const std::size_t whole = put_reply_headers(frame, *question, out, length);
  BASE_ASSERT(whole == question->header_size + length);
  const auto reply = read_datagram(BytesView(out).first(whole));
  const bool can_return = question->destination_port != 0;
  if (!reply || !can_return) return 0;  // to an address or port that no question comes from
  BASE_ASSERT(reply->message.size() == length && reply->destination_port == question->source_port);
  return 0;
}
