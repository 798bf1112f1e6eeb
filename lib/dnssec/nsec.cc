#include "dnssec/nsec.h"

#include <array>
#include <bit>

namespace mutua::dnssec {
namespace {

constexpr std::size_t kLongestBitmap = 32;

}  // namespace

Result<Nsec> parse_nsec(BytesView rdata) {
  std::size_t end = 0;
  if (!wire::skip_name(rdata, end)) return Error("NSEC record: the next name does not end");
  Nsec nsec{TRY(wire::Name::from_wire(rdata.first(end))), to_bytes(rdata.subspan(end))};
  // Section 4.1.2: | window 1 | size 1 | bitmap of 1 to 32 octets |, windows in rising order.
  int last_window = -1;
  for (std::size_t at = 0; at < nsec.bitmaps.size();) {
    if (nsec.bitmaps.size() - at < 2) return Error("NSEC record: a bitmap without a size");
    const int window = nsec.bitmaps[at];
    const std::size_t size = nsec.bitmaps[at + 1];
    if (window <= last_window || size == 0 || size > kLongestBitmap ||
        size > nsec.bitmaps.size() - at - 2)
      return Error("NSEC record: a malformed bitmap");
    last_window = window;
    at += 2 + size;
  }
  return nsec;
}

bool Nsec::lists(wire::RRType type) const {
  const unsigned window = static_cast<unsigned>(type) >> 8, low = static_cast<unsigned>(type) & 255;
  for (std::size_t at = 0; at + 2 <= bitmaps.size(); at += 2U + bitmaps[at + 1]) {
    if (bitmaps[at] != window) continue;
    return low / 8 < bitmaps[at + 1] && (bitmaps[at + 2 + low / 8] & 0x80 >> low % 8) != 0;
  }
  return false;
}

std::size_t Nsec::type_count() const {
  std::size_t count = 0;
  for (std::size_t at = 0; at + 2 <= bitmaps.size(); at += 2U + bitmaps[at + 1])
    for (std::size_t i = 0; i < bitmaps[at + 1]; ++i)
      count += static_cast<std::size_t>(std::popcount(bitmaps[at + 2 + i]));
  return count;
}

Bytes make_nsec(const std::set<wire::RRType>& types, const wire::Name& next) {
  Bytes rdata = to_bytes(next.wire());
  append(rdata, make_type_bitmaps(types));
  return rdata;
}

Bytes make_type_bitmaps(const std::set<wire::RRType>& types) {
  Bytes rdata;
  for (auto at = types.begin(); at != types.end();) {
    const unsigned window = static_cast<unsigned>(*at) >> 8;
    std::array<std::uint8_t, kLongestBitmap> bitmap{};
    std::size_t size = 0;
    for (; at != types.end() && static_cast<unsigned>(*at) >> 8 == window; ++at) {
      const unsigned low = static_cast<unsigned>(*at) & 0xFF;
      bitmap[low / 8] = static_cast<std::uint8_t>(bitmap[low / 8] | 0x80 >> low % 8);
      size = low / 8 + 1;
    }
    append_u8(rdata, static_cast<std::uint8_t>(window));
    append_u8(rdata, static_cast<std::uint8_t>(size));
    append(rdata, BytesView(bitmap).first(size));
  }
  return rdata;
}

}  // namespace mutua::dnssec
