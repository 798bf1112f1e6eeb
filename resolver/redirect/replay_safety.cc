#include "resolver/redirect/replay_safety.h"

#include <array>

namespace mutua::resolver {
namespace {

constexpr std::array<std::string_view, 4> kReading = {"GET ", "HEAD ", "OPTIONS ", "TRACE "};
constexpr std::array<std::string_view, 2> kIdempotent = {"PUT ", "DELETE "};
constexpr std::array<std::string_view, 3> kActing = {"POST ", "PATCH ", "CONNECT "};

template <std::size_t N>
bool begins_with_any(std::string_view text, const std::array<std::string_view, N>& words) {
  for (const auto word : words) {
    if (text.starts_with(word)) return true;
  }
  return false;
}

}  // namespace

ReplaySafety replay_safety(BytesView sent) {
  if (sent.empty()) return ReplaySafety::safe;
  const std::string_view text = as_text(sent);
  // A TLS handshake record (RFC 8446 section 5.1). Before the server's first flight a client sends
  // nothing but its hello, and early data, which its application has declared safe to replay.
  if (sent.size() >= 2 && sent[0] == 22 && sent[1] == 3) return ReplaySafety::safe;
  if (begins_with_any(text, kActing)) return ReplaySafety::unsafe;
  if (begins_with_any(text, kIdempotent)) return ReplaySafety::safe;
  if (begins_with_any(text, kReading)) {
    // What follows the head of such a request is another request, pipelined, of any kind.
    const auto end = text.find("\r\n\r\n");
    const bool alone = end == std::string_view::npos || end + 4 == text.size();
    return alone ? ReplaySafety::safe : ReplaySafety::unknown;
  }
  return ReplaySafety::unknown;
}

}  // namespace mutua::resolver
