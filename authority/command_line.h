#pragma once

#include <optional>
#include <string>
#include <vector>

#include "authority/config.h"

namespace mutua::authority {

// What the command line asks for.
struct CommandLine {
  std::optional<int> exit_code;  // set: all is done (--help, --version, --check-config, an error)
  AuthorityConfig config;        // otherwise
  std::string command;           // "serve", "import", "explain" …
  std::vector<std::string> arguments;
};
CommandLine read_command_line(int argc, char** argv);

}  // namespace mutua::authority
