#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mutua {

// A strict reader of small configuration files:
//
//   # comment
//   listen = 127.0.0.1:53        key, '=', value to the end of the line
//   listen = [::1]:53            a key may repeat where the program asks for a list
//
// The program takes what it knows, then calls finish(): a key that nobody took is an error.
// Every error names the file and the line: "authority.conf:7: listen: not an address: foo".
class Config {
 public:
  static Result<Config> parse(std::string_view text, std::string file_name);
  static Result<Config> load(const std::filesystem::path& path);

  // The value of `key`; the fallback where it is absent; an error where it repeats.
  Result<std::string> text(std::string_view key, std::string_view fallback);
  Result<std::string> required_text(std::string_view key);
  std::vector<std::string> list(std::string_view key);
  Result<std::uint64_t> number(std::string_view key, std::uint64_t fallback, std::uint64_t minimum,
                               std::uint64_t maximum);
  // "yes" or "no".
  Result<bool> yes_no(std::string_view key, bool fallback);
  // A number with a unit: 250ms, 30s, 5m, 2h, 14d.
  Result<std::chrono::milliseconds> duration(std::string_view key,
                                             std::chrono::milliseconds fallback);

  // An error that points at the line where `key` stands.
  Error error_at(std::string_view key, std::string_view problem) const;

  Result<void> finish() const;

 private:
  struct Entry {
    std::string value;
    unsigned line;
  };
  const Entry* only_entry(std::string_view key, Result<void>& problem);

  std::string file_name_;
  std::multimap<std::string, Entry, std::less<>> entries_;
  std::set<std::string, std::less<>> known_;
};

// "250ms", "30s", "5m", "2h", "14d".
Result<std::chrono::milliseconds> parse_duration(std::string_view text);

}  // namespace mutua
