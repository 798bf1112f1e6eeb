#include "authority/command_line.h"

#include <getopt.h>

#include <cstdio>
#include <map>
#include <utility>

#include "authority/key_commands.h"

namespace mutua::authority {
namespace {

constexpr const char* kUsage =
    "usage: mutua-authority --config FILE [--check-config]\n"
    "       mutua-authority --config FILE import ZONEFILE|DATABASE\n"
    "       mutua-authority --config FILE export ZONEFILE|-\n"
    "       mutua-authority --config FILE check\n"
    "       mutua-authority --config FILE migrate [DATABASE]\n"
    "       mutua-authority --config FILE explain SERVICE PORT/tcp|udp PEER\n"
    "       mutua-authority --config FILE keys generate|list|roll [ksk|zsk]|ds-seen TAG|retire "
    "TAG|ds\n"
    "The nameserver of a Mutua federation.\n"
    "  --config FILE    the configuration, see mutua-authority(8)\n"
    "  --check-config   read the configuration, say what is wrong with it, and end\n"
    "  import           fill an empty database with a master file (RFC 1035), or with all that\n"
    "                   another database holds (an SQLite file, a PostgreSQL URI)\n"
    "  export           write the stored zone as a master file, to standard output where it is -\n"
    "  check            read the whole database and say whether it is sound\n"
    "  migrate          create the database's tables or bring them up to date, as the role that\n"
    "                   DATABASE names, for the role that the configuration names\n"
    "  explain          ask the running authority why it serves a replica, or does not\n"
    "  keys             the keys that sign the zone: make the first, list all, make a successor,\n"
    "                   say that the zone above has its DS, take one out of use, print the DS\n"
    "  --help, --version\n";

CommandLine finished(int code) { return {code, {}, {}, {}, {}}; }

CommandLine misused() {
  std::fputs(kUsage, stderr);
  return finished(2);
}

// False where the words after the options are no command.
bool read_command(int count, char** words, CommandLine& line) {
  struct Counts {
    std::size_t least, most;
  };
  static const std::map<std::string, Counts> argument_counts{
      {"serve", {0, 0}}, {"import", {1, 1}},  {"export", {1, 1}},
      {"check", {0, 0}}, {"migrate", {0, 1}}, {"explain", {3, 3}}};
  line.command = count == 0 ? "serve" : words[0];
  if (count > 0) line.arguments.assign(words + 1, words + count);
  if (line.command == "keys") return is_key_command(line.arguments);
  const auto known = argument_counts.find(line.command);
  return known != argument_counts.end() && line.arguments.size() >= known->second.least &&
         line.arguments.size() <= known->second.most;
}

}  // namespace

CommandLine read_command_line(int argc, char** argv) {
  const option options[] = {{"config", required_argument, nullptr, 'c'},
                            {"check-config", no_argument, nullptr, 'n'},
                            {"help", no_argument, nullptr, 'h'},
                            {"version", no_argument, nullptr, 'v'},
                            {nullptr, 0, nullptr, 0}};
  std::string path;
  bool check_only = false;
  for (int chosen; (chosen = getopt_long(argc, argv, "", options, nullptr)) != -1;) {
    switch (chosen) {
      case 'c':
        path = optarg;
        break;
      case 'n':
        check_only = true;
        break;
      case 'h':
        std::fputs(kUsage, stdout);
        return finished(0);
      case 'v':
        std::puts("mutua-authority " MUTUA_VERSION);
        return finished(0);
      default:
        return misused();
    }
  }
  CommandLine line;
  if (path.empty() || !read_command(argc - optind, argv + optind, line)) return misused();
  auto file = Config::load(path);
  auto config =
      file ? read_authority_config(*std::move(file)) : Result<AuthorityConfig>(file.error());
  if (!config) {
    std::fprintf(stderr, "mutua-authority: %s\n", config.error().message().c_str());
    return finished(1);
  }
  if (check_only) return finished(0);
  line.config = *std::move(config);
  line.config_path = path;
  return line;
}

}  // namespace mutua::authority
