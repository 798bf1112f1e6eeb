#include "cli/arguments.h"

#include <charconv>

namespace mutua::cli {

Result<Arguments> Arguments::parse(const std::vector<std::string>& arguments,
                                   const Grammar& grammar) {
  Arguments result;
  bool only_words = false;
  for (std::size_t index = 0; index < arguments.size(); ++index) {
    const std::string& argument = arguments[index];
    if (only_words || !argument.starts_with("--")) {
      result.words_.push_back(argument);
      continue;
    }
    if (argument == "--") {
      only_words = true;
      continue;
    }
    const auto equals = argument.find('=');
    const std::string name = argument.substr(2, equals == std::string::npos ? equals : equals - 2);
    if (grammar.flags.contains(name) && equals == std::string::npos) {
      result.flags_.insert(name);
    } else if (!grammar.options.contains(name)) {
      return Error("unknown option " + argument);
    } else if (equals != std::string::npos) {
      result.options_[name].push_back(argument.substr(equals + 1));
    } else if (index + 1 < arguments.size()) {
      result.options_[name].push_back(arguments[++index]);
    } else {
      return Error(argument + " needs a value");
    }
  }
  if (result.words_.size() < grammar.least_words) return Error("an argument is missing");
  if (result.words_.size() > grammar.most_words) {
    return Error("one argument too many: " + result.words_[grammar.most_words]);
  }
  return result;
}

const std::vector<std::string>& Arguments::all(std::string_view option) const {
  static const std::vector<std::string> none;
  const auto found = options_.find(option);
  return found == options_.end() ? none : found->second;
}

Result<std::string> Arguments::one(std::string_view option, std::string_view fallback) const {
  const auto& values = all(option);
  if (values.size() > 1) return Error("--" + std::string(option) + " is given twice");
  return values.empty() ? std::string(fallback) : values.front();
}

Result<std::string> Arguments::required(std::string_view option) const {
  if (all(option).empty()) return Error("--" + std::string(option) + " is missing");
  return one(option, "");
}

Result<std::uint64_t> parse_mebibytes(const std::string& text) {
  std::uint64_t mebibytes = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), mebibytes);
  if (failure != std::errc{} || end != text.data() + text.size()) {
    return Error("--memory is a number of MiB, not " + text);
  }
  return mebibytes;
}

}  // namespace mutua::cli
