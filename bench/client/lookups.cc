// getaddrinfo() of one name, again and again, by several threads of several processes. A "#" in the
// name stands for the number of the call, so that every call has a name of its own.

#include <netdb.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <new>
#include <thread>

#include "bench/client/bench_client.h"

namespace mutua::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Work {
  std::string name;
  int family = AF_UNSPEC;
  std::size_t calls = 0, threads = 1, processes = 1;
};

// Shared by the processes: everybody is ready before anybody begins.
struct Shared {
  std::atomic<std::size_t> ready{0}, failures{0};
  std::uint32_t* latencies() { return reinterpret_cast<std::uint32_t*>(this + 1); }
};

bool look_up(const std::string& name, int family) {
  addrinfo hints{};
  hints.ai_family = family;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(name.c_str(), "80", &hints, &found) != 0) return false;
  freeaddrinfo(found);
  return true;
}

std::string name_of(const Work& work, std::size_t call) {
  std::string name = work.name;
  if (const auto place = name.find('#'); place != std::string::npos)
    name.replace(place, 1, std::to_string(call));
  return name;
}

void run_thread(const Work& work, Shared& shared, std::uint32_t* latencies) {
  if (!look_up(name_of(work, 0), work.family)) ++shared.failures;  // the first call loads and maps
  ++shared.ready;
  while (shared.ready < work.threads * work.processes) std::this_thread::yield();
  for (std::size_t i = 0; i < work.calls; ++i) {
    const std::string name = name_of(work, i);
    const auto begun = Clock::now();
    if (!look_up(name, work.family)) ++shared.failures;
    latencies[i] = static_cast<std::uint32_t>((Clock::now() - begun).count());
  }
}

void run_process(const Work& work, Shared& shared, std::size_t process) {
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < work.threads; ++i) {
    std::uint32_t* mine = shared.latencies() + (process * work.threads + i) * work.calls;
    threads.emplace_back(run_thread, std::cref(work), std::ref(shared), mine);
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace

int measure_lookups(const std::vector<std::string>& arguments) {
  if (arguments.size() != 5) return 2;
  const Work work{arguments[0], std::stoi(arguments[1]), std::stoul(arguments[2]),
                  std::stoul(arguments[3]), std::stoul(arguments[4])};
  const std::size_t total = work.calls * work.threads * work.processes;
  void* memory = mmap(nullptr, sizeof(Shared) + total * sizeof(std::uint32_t),
                      PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  auto& shared = *new (memory) Shared;
  std::vector<pid_t> children;
  for (std::size_t process = 1; process < work.processes; ++process) {
    const pid_t child = fork();
    if (child == 0) {
      run_process(work, shared, process);
      _exit(0);
    }
    if (child < 0) return 1;
    children.push_back(child);
  }
  run_process(work, shared, 0);
  bool all_ended_well = true;
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    all_ended_well = all_ended_well && status == 0;
  }
  Latencies latencies(shared.latencies(), shared.latencies() + total);
  std::sort(latencies.begin(), latencies.end());
  std::printf("{\"p50\": %.3f, \"p99\": %.3f, \"calls\": %zu, \"failures\": %zu}\n",
              percentile(latencies, 0.5), percentile(latencies, 0.99), total,
              shared.failures.load());
  return all_ended_well ? 0 : 1;
}

}  // namespace mutua::bench
