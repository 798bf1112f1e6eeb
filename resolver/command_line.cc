#include "resolver/command_line.h"

#include <getopt.h>
#include <sys/resource.h>

#include <cstdio>

#include "base/durable_file.h"
#include "resolver/install/resolv_conf.h"

namespace mutua::resolver {
namespace {

constexpr const char* kUsage =
    "usage: mutua-resolver --config FILE [--check-config]\n"
    "Finds the services of a Mutua federation for the programs of this machine.\n"
    "  --config FILE    the configuration, see mutua-resolver(8)\n"
    "  --check-config   read the configuration, say what is wrong with it, and end\n"
    "  --help, --version\n";

CommandLine finished(int code) { return {code, {}}; }

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
        std::puts("mutua-resolver " MUTUA_VERSION);
        return finished(0);
      default:
        std::fputs(kUsage, stderr);
        return finished(2);
    }
  }
  if (path.empty() || optind != argc) {
    std::fputs(kUsage, stderr);
    return finished(2);
  }
  const auto resolv_conf = read_file(real_resolv_conf("/etc/resolv.conf"), 64 * 1024);
  auto file = Config::load(path);
  auto config = file ? read_resolver_config(std::move(*file), resolv_conf ? as_text(*resolv_conf)
                                                                          : std::string_view())
                     : Result<ResolverConfig>(file.error());
  if (!config) {
    std::fprintf(stderr, "mutua-resolver: %s\n", config.error().message().c_str());
    return finished(1);
  }
  if (check_only) return finished(0);
  return {std::nullopt, std::move(*config)};
}

std::size_t raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

}  // namespace mutua::resolver
