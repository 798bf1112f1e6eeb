#include "peer/audit/check.h"

#include <regex.h>

#include <charconv>

namespace mutua::peer {
namespace {

constexpr std::size_t kLongestCheck = 2048;

Result<HttpCheck> parse_http(std::string_view text) {
  HttpCheck check;
  auto end = text.find(';');
  check.path = text.substr(0, end);
  if (!check.path.starts_with('/') || check.path.find_first_of(" \t\r\n") != std::string::npos) {
    return Error("a path begins with '/' and has no blanks: " + check.path);
  }
  while (end != std::string_view::npos) {
    text.remove_prefix(end + 1);
    const auto equals = text.find('=');
    const std::string_view key = text.substr(0, equals);
    if (key == "pattern" && equals != std::string_view::npos) {
      check.pattern = TRY(Pattern::compile(std::string(text.substr(equals + 1))));
      return check;
    }
    end = text.find(';');
    if (equals == std::string_view::npos || equals > end) {
      return Error("expected status=, digest= or pattern=: " + std::string(text));
    }
    const std::string_view value =
        text.substr(equals + 1, end == std::string_view::npos ? end : end - equals - 1);
    if (key == "status") {
      const auto [last, failure] =
          std::from_chars(value.data(), value.data() + value.size(), check.status);
      const bool whole = failure == std::errc{} && last == value.data() + value.size();
      if (!whole || check.status < 100 || check.status > 599) {
        return Error("not an HTTP status: " + std::string(value));
      }
    } else if (key == "digest") {
      check.digest = TRY(trust::Digest::parse(value));
    } else {
      return Error("unknown expectation: " + std::string(key));
    }
  }
  return check;
}

Result<Check> parse_check(std::string_view text) {
  Check check;
  check.text = text;
  if (text.size() > kLongestCheck) return Error("too long");
  if (text.starts_with("http:")) {
    check.expectation = TRY(parse_http(text.substr(5)));
  } else if (text.starts_with("exec:")) {
    ExecCheck exec{std::string(text.substr(5))};
    if (!exec.program.starts_with('/')) return Error("the program needs an absolute path");
    check.expectation = std::move(exec);
  } else if (text == "tcp:") {
    check.expectation = TcpCheck{};
  } else {
    return Error("expected http:/path, exec:/program or tcp:");
  }
  return check;
}

}  // namespace

// The C library's matcher: libstdc++'s std::regex recurses for each character of the text.
Result<Pattern> Pattern::compile(const std::string& text) {
  auto compiled = std::make_unique<regex_t>();
  if (const int problem = ::regcomp(compiled.get(), text.c_str(), REG_EXTENDED | REG_NOSUB)) {
    char message[128];
    ::regerror(problem, compiled.get(), message, sizeof message);
    return errorf("pattern %s: %s", text.c_str(), message);
  }
  const auto release = [](regex_t* pattern) {
    ::regfree(pattern);
    delete pattern;
  };
  return Pattern(std::shared_ptr<regex_t>(compiled.release(), release));
}

bool Pattern::is_found_in(BytesView text) const {
  // REG_STARTEND: the text may hold zeroes. AddressSanitizer wants one behind it all the same.
  const std::string terminated(as_text(text));
  regmatch_t span{0, static_cast<regoff_t>(text.size())};
  const auto* pattern = static_cast<const regex_t*>(compiled_.get());
  return ::regexec(pattern, terminated.c_str(), 1, &span, REG_STARTEND) == 0;
}

Result<Check> Check::parse(std::string_view text) {
  auto check = parse_check(text);
  if (check.ok()) return check;
  return check.error().in("check '" + std::string(text.substr(0, 80)) + "'");
}

}  // namespace mutua::peer
