#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mutua::cli {

// What a command understands. Options take a value, flags do not; both are written `--name`.
struct Grammar {
  std::set<std::string, std::less<>> options;
  std::set<std::string, std::less<>> flags;
  std::size_t least_words = 0;
  std::size_t most_words = 0;
};

// A command line, taken apart: `--option VALUE`, `--option=VALUE`, `--flag`, words. "--" ends the
// options.
class Arguments {
 public:
  // Errors name the argument.
  static Result<Arguments> parse(const std::vector<std::string>& arguments, const Grammar& grammar);

  const std::string& word(std::size_t index) const { return words_[index]; }
  std::size_t word_count() const { return words_.size(); }
  bool has(std::string_view flag) const { return flags_.contains(flag); }
  const std::vector<std::string>& all(std::string_view option) const;
  // An option that may stand once.
  Result<std::string> one(std::string_view option, std::string_view fallback) const;
  Result<std::string> required(std::string_view option) const;

 private:
  std::vector<std::string> words_;
  std::set<std::string, std::less<>> flags_;
  std::map<std::string, std::vector<std::string>, std::less<>> options_;
};

// A number of MiB.
Result<std::uint64_t> parse_mebibytes(const std::string& text);

}  // namespace mutua::cli
