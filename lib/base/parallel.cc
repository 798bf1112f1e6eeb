#include "base/parallel.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "base/thread_scheduling.h"

namespace mutua {
namespace {

// A thread costs about as much as one signature.
constexpr std::size_t kWorthAThread = 16;

}  // namespace

void in_parallel(std::size_t count, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  const auto run = [&] {
    for (std::size_t at = next.fetch_add(1); at < count; at = next.fetch_add(1)) {
      work(at);
      give_way();
    }
  };
  const std::size_t processors = std::max(1u, std::thread::hardware_concurrency());
  const std::size_t threads = std::min(processors, count / kWorthAThread);
  std::vector<std::jthread> helpers;
  for (std::size_t i = 1; i < threads; ++i)
    helpers.emplace_back([&] {
      step_back();
      run();
    });
  run();
}

}  // namespace mutua
