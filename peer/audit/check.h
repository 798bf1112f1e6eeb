#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/bytes.h"
#include "base/result.h"
#include "trust/digest.h"

namespace mutua::peer {

// What an owner expects of a replica, as the command line writes it:
//
//   http:/path[;status=200][;digest=sha256:…][;pattern=REGEX]   the body as it is sent
//   exec:PROGRAM                                                exit status 0
//   tcp:                                                        a connection that stays open
//
// A pattern (POSIX extended) is searched in the body and goes to the end of the text: it may hold
// semicolons. A program gets the replica's address and port as arguments, and as MUTUA_ADDRESS,
// MUTUA_PORT, MUTUA_SERVICE in its environment.
class Pattern {
 public:
  static Result<Pattern> compile(const std::string& text);
  // Takes little stack, however long the text is: a replica chooses it.
  bool is_found_in(BytesView text) const;

 private:
  explicit Pattern(std::shared_ptr<const void> compiled) : compiled_(std::move(compiled)) {}
  std::shared_ptr<const void> compiled_;  // regex_t
};

struct HttpCheck {
  std::string path;
  unsigned status = 200;
  std::optional<trust::Digest> digest;
  std::optional<Pattern> pattern;
};
struct ExecCheck {
  std::string program;  // an absolute path
};
struct TcpCheck {};

struct Check {
  std::string text;  // as it was written
  std::variant<HttpCheck, ExecCheck, TcpCheck> expectation;

  static Result<Check> parse(std::string_view text);
  // False for exec: which programs an owner runs is nobody else's business.
  bool is_public() const { return !std::holds_alternative<ExecCheck>(expectation); }
};

}  // namespace mutua::peer
