// What ./dev bench client measures with: too short for a script.
//   bench_client lookups NAME FAMILY CALLS THREADS PROCESSES

#include "bench/client/bench_client.h"

#include <cstdio>
#include <cstring>

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + std::min(argc, 2), argv + argc);
  if (argc > 1 && std::strcmp(argv[1], "lookups") == 0)
    return mutua::bench::measure_lookups(arguments);
  std::fputs("usage: bench_client lookups NAME FAMILY CALLS THREADS PROCESSES\n", stderr);
  return 2;
}
