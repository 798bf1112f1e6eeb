// What ./dev bench client measures with: too short for a script.
//   bench_client lookups NAME FAMILY CALLS THREADS PROCESSES
//   bench_client serve ADDRESS:PORT
//   bench_client path ADDRESS:PORT connect|pingpong|download|requests SECONDS
//   bench_client steady ADDRESS:PORT COUNT EACH_SECOND RETRIES
//   bench_client choice PEERS WORLDS told|untold|clairvoyant
//   bench_client still-world PEERS SEED FLOWS
//   bench_client link PID PID INTERFACE ROUND-TRIP OCTETS-PER-SECOND
//   bench_client flows ADDRESS:PORT (OCTETS BEST-PEER:PORT)...

#include "bench/client/bench_client.h"

#include <cstdio>
#include <cstring>

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + std::min(argc, 2), argv + argc);
  if (argc > 1 && std::strcmp(argv[1], "lookups") == 0)
    return mutua::bench::measure_lookups(arguments);
  if (argc > 1 && std::strcmp(argv[1], "serve") == 0) return mutua::bench::serve_path(arguments);
  if (argc > 1 && std::strcmp(argv[1], "path") == 0) return mutua::bench::measure_path(arguments);
  if (argc > 1 && std::strcmp(argv[1], "steady") == 0)
    return mutua::bench::request_steadily(arguments);
  if (argc > 1 && std::strcmp(argv[1], "choice") == 0)
    return mutua::bench::simulate_choice(arguments);
  if (argc > 1 && std::strcmp(argv[1], "still-world") == 0)
    return mutua::bench::describe_still_world(arguments);
  if (argc > 1 && std::strcmp(argv[1], "link") == 0) return mutua::bench::serve_link(arguments);
  if (argc > 1 && std::strcmp(argv[1], "flows") == 0) return mutua::bench::carry_flows(arguments);
  std::fputs(
      "usage: bench_client lookups NAME FAMILY CALLS THREADS PROCESSES\n"
      "       bench_client serve ADDRESS:PORT\n"
      "       bench_client path ADDRESS:PORT connect|pingpong|download|requests SECONDS\n"
      "       bench_client steady ADDRESS:PORT COUNT EACH_SECOND RETRIES\n"
      "       bench_client choice PEERS WORLDS told|untold|clairvoyant\n"
      "       bench_client still-world PEERS SEED FLOWS\n"
      "       bench_client link PID PID INTERFACE ROUND-TRIP OCTETS-PER-SECOND\n"
      "       bench_client flows ADDRESS:PORT (OCTETS BEST-PEER:PORT)...\n",
      stderr);
  return 2;
}
