#pragma once

#include <filesystem>
#include <optional>

#include "resolver/config.h"

namespace mutua::resolver {

// What the command line asks for.
struct CommandLine {
  std::optional<int>
      exit_code;          // set: everything is done (--help, --version, --check-config, an error)
  ResolverConfig config;  // otherwise
};
CommandLine read_command_line(int argc, char** argv);

// Raises the limit of open descriptors to what the system allows; returns it.
std::size_t raise_descriptor_limit();

}  // namespace mutua::resolver
