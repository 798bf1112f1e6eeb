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
  const auto next = TRY(wire::Name::from_wire(rdata.first(end)));
  return Nsec{next, TRY(TypeBitmaps::parse(rdata.subspan(end)))};
}

// | window 1 | size 1 | bitmap of 1 to 32 octets |, windows in rising order.
Result<TypeBitmaps> TypeBitmaps::parse(BytesView octets) {
  TypeBitmaps bitmaps;
  bitmaps.octets_ = to_bytes(octets);
  int last_window = -1;
  for (std::size_t at = 0; at < octets.size();) {
    if (octets.size() - at < 2) return Error("a type bitmap without a size");
    const int window = octets[at];
    const std::size_t size = octets[at + 1];
    if (window <= last_window || size == 0 || size > kLongestBitmap ||
        size > octets.size() - at - 2)
      return Error("a malformed type bitmap");
    last_window = window;
    at += 2 + size;
  }
  return bitmaps;
}

bool TypeBitmaps::lists(wire::RRType type) const {
  const unsigned window = static_cast<unsigned>(type) >> 8, low = static_cast<unsigned>(type) & 255;
  for (std::size_t at = 0; at + 2 <= octets_.size(); at += 2U + octets_[at + 1]) {
    if (octets_[at] != window) continue;
    return low / 8 < octets_[at + 1] && (octets_[at + 2 + low / 8] & 0x80 >> low % 8) != 0;
  }
  return false;
}

std::size_t TypeBitmaps::count() const {
  std::size_t count = 0;
  for (std::size_t at = 0; at + 2 <= octets_.size(); at += 2U + octets_[at + 1])
    for (std::size_t i = 0; i < octets_[at + 1]; ++i)
      count += static_cast<std::size_t>(std::popcount(octets_[at + 2 + i]));
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
