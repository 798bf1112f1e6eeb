#include "peer/exchange/range.h"

#include <algorithm>
#include <charconv>

namespace mutua::peer {
namespace {

// The number that `text` starts with; moves `text` behind it.
std::optional<std::uint64_t> take_number(std::string_view& text) {
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

}  // namespace

ByteRange parse_range(std::string_view header, std::uint64_t size_bytes) {
  const ByteRange whole{ByteRange::Kind::whole, 0, size_bytes};
  constexpr std::string_view unit = "bytes=";
  if (!header.starts_with(unit)) return whole;
  header.remove_prefix(unit.size());
  const auto first = take_number(header);
  if (!header.starts_with('-')) return whole;
  header.remove_prefix(1);
  const auto last = take_number(header);
  if (!header.empty() || (!first && !last)) return whole;
  if (!first) {  // the last n octets
    const std::uint64_t length = std::min(*last, size_bytes);
    if (length == 0) return {ByteRange::Kind::unsatisfiable, 0, 0};
    return {ByteRange::Kind::part, size_bytes - length, length};
  }
  if (last && *last < *first) return whole;
  if (*first >= size_bytes) return {ByteRange::Kind::unsatisfiable, 0, 0};
  const std::uint64_t end = last ? std::min(*last, size_bytes - 1) : size_bytes - 1;
  return {ByteRange::Kind::part, *first, end - *first + 1};
}

std::optional<std::uint64_t> parse_content_range_start(std::string_view header) {
  constexpr std::string_view unit = "bytes ";
  if (!header.starts_with(unit)) return std::nullopt;
  header.remove_prefix(unit.size());
  const auto first = take_number(header);
  if (!first || !header.starts_with('-')) return std::nullopt;
  return first;
}

}  // namespace mutua::peer
