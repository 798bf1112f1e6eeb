#include "peer/exchange/request_target.h"

#include <algorithm>

namespace mutua::peer {
namespace {

constexpr std::size_t kLongestName = 253;
constexpr std::size_t kLongestReference = 128;

bool is_service_name(std::string_view text) {
  return !text.empty() && text.size() <= kLongestName && text.front() != '.' &&
         std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
                  c == '_';
         });
}

}  // namespace

std::optional<RequestTarget> parse_request_target(std::string_view target) {
  target = target.substr(0, target.find('?'));
  if (target == "/v2/" || target == "/v2") return RequestTarget{};
  constexpr std::string_view prefix = "/v2/";
  if (!target.starts_with(prefix)) return std::nullopt;
  target.remove_prefix(prefix.size());
  const auto first = target.find('/');
  const auto second = first == std::string_view::npos ? first : target.find('/', first + 1);
  if (second == std::string_view::npos) return std::nullopt;

  RequestTarget result;
  const std::string_view noun = target.substr(first + 1, second - first - 1);
  if (noun == "manifests") {
    result.kind = RequestTarget::Kind::manifest;
  } else if (noun == "blobs") {
    result.kind = RequestTarget::Kind::blob;
  } else if (noun == "referrers") {
    result.kind = RequestTarget::Kind::referrers;
  } else {
    return std::nullopt;
  }
  result.service = target.substr(0, first);
  result.reference = target.substr(second + 1);
  if (!is_service_name(result.service) || result.reference.size() > kLongestReference) {
    return std::nullopt;
  }
  return result;
}

}  // namespace mutua::peer
