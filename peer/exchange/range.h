#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace mutua::peer {

// The part of a blob that a request wants. RFC 9110 section 14.
struct ByteRange {
  enum class Kind {
    whole,  // no Range, or one that may be ignored: several ranges, another unit, bad syntax
    part,   // first..first+length-1
    unsatisfiable,  // starts behind the end
  };
  Kind kind = Kind::whole;
  std::uint64_t first = 0;
  std::uint64_t length = 0;
};

// `header` is the Range field's value, empty where there is none.
ByteRange parse_range(std::string_view header, std::uint64_t size_bytes);

// The first position of a Content-Range answer: "bytes 100-199/200".
std::optional<std::uint64_t> parse_content_range_start(std::string_view header);

}  // namespace mutua::peer
