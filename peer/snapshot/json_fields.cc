#include "peer/snapshot/json_fields.h"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <exception>

namespace mutua::peer {
namespace {

constexpr std::size_t kMostAnnotations = 64;
constexpr std::size_t kLongestText = 4096;

Error wrong(std::string_view name, const char* expected) {
  return errorf("field %s: expected %s", std::string(name).c_str(), expected);
}

}  // namespace

Result<boost::json::object> parse_json_object(BytesView json, std::size_t limit_bytes) {
  if (json.size() > limit_bytes) {
    return errorf("%zu bytes of JSON; at most %zu are allowed", json.size(), limit_bytes);
  }
  boost::json::parse_options options;
  options.max_depth = 12;
  boost::json::error_code problem;
  try {
    boost::json::value value = boost::json::parse(as_text(json), problem, {}, options);
    if (problem) return Error("not JSON: " + problem.message());
    if (!value.is_object()) return Error("not a JSON object");
    return std::move(value.as_object());
  } catch (const std::exception& failure) {
    return errorf("not JSON: %s", failure.what());
  }
}

Result<std::string> text_field(const boost::json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  if (!value || !value->is_string()) return wrong(name, "a text");
  if (value->get_string().size() > kLongestText) return wrong(name, "a shorter text");
  return std::string(value->get_string());
}

Result<std::uint64_t> number_field(const boost::json::object& object, std::string_view name,
                                   std::uint64_t maximum) {
  const auto* value = object.if_contains(name);
  // Boost.JSON keeps numbers up to 2^63-1 as int64 and only the rest as uint64.
  if (!value || !value->is_int64() || value->get_int64() < 0) return wrong(name, "a whole number");
  const auto number = static_cast<std::uint64_t>(value->get_int64());
  if (number > maximum) {
    return errorf("field %s: %llu is more than the allowed %llu", std::string(name).c_str(),
                  static_cast<unsigned long long>(number),
                  static_cast<unsigned long long>(maximum));
  }
  return number;
}

Result<boost::json::object> object_field(const boost::json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  if (!value || !value->is_object()) return wrong(name, "an object");
  return value->get_object();
}

Result<boost::json::array> array_field(const boost::json::object& object, std::string_view name,
                                       std::size_t limit) {
  const auto* value = object.if_contains(name);
  if (!value) return boost::json::array();
  if (!value->is_array()) return wrong(name, "an array");
  if (value->get_array().size() > limit) return wrong(name, "fewer elements");
  return value->get_array();
}

Result<std::vector<std::string>> texts_field(const boost::json::object& object,
                                             std::string_view name, std::size_t limit) {
  std::vector<std::string> texts;
  const auto values = TRY(array_field(object, name, limit));
  for (const auto& value : values) {
    if (!value.is_string() || value.get_string().size() > kLongestText) {
      return wrong(name, "texts");
    }
    texts.emplace_back(value.get_string());
  }
  return texts;
}

Result<std::map<std::string, std::string>> annotations_field(const boost::json::object& object) {
  std::map<std::string, std::string> annotations;
  if (!object.contains("annotations")) return annotations;
  const auto fields = TRY(object_field(object, "annotations"));
  if (fields.size() > kMostAnnotations) return wrong("annotations", "fewer elements");
  for (const auto& [key, value] : fields) {
    std::string text = TRY(text_field(fields, key));
    annotations.emplace(key, std::move(text));
  }
  return annotations;
}

}  // namespace mutua::peer
