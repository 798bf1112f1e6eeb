#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace mutua::peer {

// Reads one JSON object of at most `limit_bytes` and 12 levels. Never throws.
Result<boost::json::object> parse_json_object(BytesView json, std::size_t limit_bytes);

// Fields of an object; each error names the field. Nothing is converted: 5 is no "5".
Result<std::string> text_field(const boost::json::object& object, std::string_view name);
Result<std::uint64_t> number_field(const boost::json::object& object, std::string_view name,
                                   std::uint64_t maximum);
Result<boost::json::object> object_field(const boost::json::object& object, std::string_view name);
// At most `limit` elements; absent reads as empty.
Result<boost::json::array> array_field(const boost::json::object& object, std::string_view name,
                                       std::size_t limit);
Result<std::vector<std::string>> texts_field(const boost::json::object& object,
                                             std::string_view name, std::size_t limit);
Result<std::map<std::string, std::string>> annotations_field(const boost::json::object& object);

}  // namespace mutua::peer
