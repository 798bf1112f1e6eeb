#include "base/config.h"

#include <charconv>

#include "base/durable_file.h"

namespace mutua {
namespace {

constexpr std::size_t kLargestFileBytes = 1 << 20;

std::string_view trim(std::string_view text) {
  constexpr std::string_view blanks = " \t\r";
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

}  // namespace

Result<Config> Config::parse(std::string_view text, std::string file_name) {
  Config config;
  config.file_name_ = std::move(file_name);
  unsigned line_number = 0;
  while (!text.empty()) {
    ++line_number;
    const auto end = text.find('\n');
    std::string_view line = trim(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    if (line.empty() || line.front() == '#') continue;
    const auto equals = line.find('=');
    const std::string_view key = trim(line.substr(0, equals));
    if (equals == std::string_view::npos || key.empty()) {
      return errorf("%s:%u: expected 'key = value'", config.file_name_.c_str(), line_number);
    }
    config.entries_.emplace(key, Entry{std::string(trim(line.substr(equals + 1))), line_number});
  }
  return config;
}

Result<Config> Config::load(const std::filesystem::path& path) {
  const Bytes content = TRY(read_file(path, kLargestFileBytes));
  return parse(as_text(content), path.string());
}

const Config::Entry* Config::only_entry(std::string_view key, Result<void>& problem) {
  known_.emplace(key);
  const auto [first, last] = entries_.equal_range(key);
  if (first == last) return nullptr;
  if (std::next(first) != last) {
    problem = errorf("%s:%u: %s is given twice", file_name_.c_str(), std::next(first)->second.line,
                     std::string(key).c_str());
  }
  return &first->second;
}

Result<std::string> Config::text(std::string_view key, std::string_view fallback) {
  Result<void> problem;
  const Entry* entry = only_entry(key, problem);
  TRY(std::move(problem));
  return entry ? entry->value : std::string(fallback);
}

Result<std::string> Config::required_text(std::string_view key) {
  Result<void> problem;
  const Entry* entry = only_entry(key, problem);
  TRY(std::move(problem));
  if (!entry) return errorf("%s: %s is missing", file_name_.c_str(), std::string(key).c_str());
  return entry->value;
}

std::vector<std::string> Config::list(std::string_view key) {
  known_.emplace(key);
  std::vector<std::string> values;
  const auto [first, last] = entries_.equal_range(key);
  for (auto entry = first; entry != last; ++entry) values.push_back(entry->second.value);
  return values;
}

Result<std::uint64_t> Config::number(std::string_view key, std::uint64_t fallback,
                                     std::uint64_t minimum, std::uint64_t maximum) {
  const std::string value = TRY(text(key, std::to_string(fallback)));
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (failure != std::errc{} || end != value.data() + value.size()) {
    return error_at(key, "not a number: " + value);
  }
  if (number < minimum || number > maximum) {
    return error_at(key, "must be between " + std::to_string(minimum) + " and " +
                             std::to_string(maximum) + ", not " + value);
  }
  return number;
}

Result<bool> Config::yes_no(std::string_view key, bool fallback) {
  const std::string value = TRY(text(key, fallback ? "yes" : "no"));
  if (value == "yes") return true;
  if (value == "no") return false;
  return error_at(key, "must be yes or no, not " + value);
}

Result<std::chrono::milliseconds> Config::duration(std::string_view key,
                                                   std::chrono::milliseconds fallback) {
  const std::string value = TRY(text(key, std::to_string(fallback.count()) + "ms"));
  auto parsed = parse_duration(value);
  if (!parsed.ok()) return error_at(key, parsed.error().message());
  return parsed;
}

Error Config::error_at(std::string_view key, std::string_view problem) const {
  const auto entry = entries_.find(key);
  const std::string place =
      entry == entries_.end() ? file_name_ : file_name_ + ":" + std::to_string(entry->second.line);
  return Error(place + ": " + std::string(key) + ": " + std::string(problem));
}

Result<void> Config::finish() const {
  for (const auto& [key, entry] : entries_) {
    if (!known_.contains(key)) {
      return errorf("%s:%u: unknown key '%s'", file_name_.c_str(), entry.line, key.c_str());
    }
  }
  return {};
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  std::uint32_t count = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (failure == std::errc{}) {
    using namespace std::chrono;
    if (unit == "ms") return milliseconds(count);
    if (unit == "s") return milliseconds(seconds(count));
    if (unit == "m") return milliseconds(minutes(count));
    if (unit == "h") return milliseconds(hours(count));
    if (unit == "d") return milliseconds(hours(24) * count);
  }
  return errorf("not a duration (250ms, 30s, 5m, 2h, 14d): %s", std::string(text).c_str());
}

}  // namespace mutua
