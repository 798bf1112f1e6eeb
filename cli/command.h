#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/arguments.h"

namespace mutua::cli {

// Where the daemons' control sockets are.
struct Sockets {
  std::filesystem::path peer = "/run/mutua/peer.sock";
  std::filesystem::path resolver = "/run/mutua/resolver-control.sock";
};

// One command of `mutua`. `name` is one word or two ("peer init"); `help` begins with its usage.
struct Command {
  std::string_view name;
  std::string_view summary;
  std::string_view help;
  Grammar grammar;
  Result<void> (*run)(const Arguments& arguments, const Sockets& sockets);
};

// All commands, in the order of the help text.
const std::vector<Command>& commands();

// The commands of each group; see its source.
std::vector<Command> peer_init_commands();
std::vector<Command> disk_commands();
std::vector<Command> peer_commands();
std::vector<Command> scrapbook_commands();
std::vector<Command> machine_run_commands();
std::vector<Command> resolver_commands();
std::vector<Command> base_commands();

}  // namespace mutua::cli
