#include "peer/directory/tokens.h"

#include "wire/rdata.h"

namespace mutua::peer {
namespace {

Result<void> add_token(std::map<std::string, std::string>& tokens, std::string_view token) {
  const auto equals = token.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return Error("TXT: not key=value: " + std::string(token));
  }
  const std::string key(token.substr(0, equals));
  if (!tokens.emplace(key, token.substr(equals + 1)).second) {
    return Error("TXT: " + key + " is given twice");
  }
  return {};
}

}  // namespace

Result<std::map<std::string, std::string>> parse_tokens(BytesView txt_rdata) {
  std::map<std::string, std::string> tokens;
  const std::vector<std::string> strings = TRY(wire::parse_txt(txt_rdata));
  for (std::string_view text : strings) {
    while (!text.empty()) {
      const auto end = text.find(' ');
      const std::string_view token = text.substr(0, end);
      text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
      if (!token.empty()) TRY(add_token(tokens, token));
    }
  }
  return tokens;
}

}  // namespace mutua::peer
