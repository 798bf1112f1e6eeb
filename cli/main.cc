#include <cstdio>
#include <string>
#include <vector>

#include "cli/command.h"

namespace {

using namespace mutua;
using namespace mutua::cli;

void print_usage(std::FILE* out) {
  std::fputs("usage: mutua [--peer-socket PATH] [--resolver-socket PATH] COMMAND [ARGUMENTS]\n\n",
             out);
  for (const Command& command : commands()) {
    std::fprintf(out, "  %-20s %s\n", std::string(command.name).c_str(),
                 std::string(command.summary).c_str());
  }
  std::fputs("\n'mutua COMMAND --help' says more.\n", out);
}

// The command that `words` begin with, and how many words its name has.
const Command* find(const std::vector<std::string>& words, std::size_t& taken) {
  for (const std::size_t count : {std::size_t{2}, std::size_t{1}}) {
    if (words.size() < count) continue;
    const std::string name = count == 2 ? words[0] + " " + words[1] : words[0];
    for (const Command& command : commands()) {
      if (command.name != name) continue;
      taken = count;
      return &command;
    }
  }
  return nullptr;
}

// Takes the options that stand before the command. False where one of them is not understood.
bool take_sockets(std::vector<std::string>& words, Sockets& sockets) {
  while (words.size() >= 2 && words[0].starts_with("--")) {
    if (words[0] == "--peer-socket") {
      sockets.peer = words[1];
    } else if (words[0] == "--resolver-socket") {
      sockets.resolver = words[1];
    } else {
      return false;
    }
    words.erase(words.begin(), words.begin() + 2);
  }
  return true;
}

int run(const Command& command, const std::vector<std::string>& rest, const Sockets& sockets) {
  for (const std::string& argument : rest) {
    if (argument == "--") break;
    if (argument == "--help" || argument == "-h") {
      return std::fputs(std::string(command.help).c_str(), stdout), 0;
    }
  }
  const auto arguments = Arguments::parse(rest, command.grammar);
  if (!arguments.ok()) {
    std::fprintf(stderr, "mutua %s: %s\n%s", std::string(command.name).c_str(),
                 arguments.error().message().c_str(), std::string(command.help).c_str());
    return 2;
  }
  const auto result = command.run(*arguments, sockets);
  if (result.ok()) return 0;
  std::fprintf(stderr, "mutua %s: %s\n", std::string(command.name).c_str(),
               result.error().message().c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  Sockets sockets;
  if (!words.empty() && (words[0] == "--help" || words[0] == "-h")) return print_usage(stdout), 0;
  if (!words.empty() && words[0] == "--version") return std::puts("mutua " MUTUA_VERSION), 0;
  std::size_t taken = 0;
  const Command* command = take_sockets(words, sockets) ? find(words, taken) : nullptr;
  if (!command) return print_usage(stderr), 2;
  return run(*command, {words.begin() + static_cast<std::ptrdiff_t>(taken), words.end()}, sockets);
}
