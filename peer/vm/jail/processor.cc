#include "peer/vm/jail/processor.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "base/log.h"

namespace mutua::vm {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

// A boot or a resume may have met a crowded processor: the first look comes soon.
constexpr milliseconds kFirstLook{250};
// Machines that crowd one processor shall not leave it at the same moment.
constexpr milliseconds kInterval{800};
constexpr int kIntervalSpread = 400;
constexpr double kWorthMoving = 0.05;
constexpr double kIdleEnough = 0.5;
// A process that starts another while the tree is read is found again.
constexpr int kMovePasses = 3;

std::string process_folder(pid_t pid) { return "/proc/" + std::to_string(pid); }

std::vector<pid_t> children_of(const fs::path& task) {
  std::vector<pid_t> children;
  std::ifstream file(task / "children");
  for (pid_t child; file >> child;) children.push_back(child);
  return children;
}

// Threads of `root` and of all processes below it.
std::vector<pid_t> threads_of_tree(pid_t root) {
  std::vector<pid_t> threads;
  std::vector<pid_t> processes = {root};
  while (!processes.empty()) {
    const std::string folder = process_folder(processes.back()) + "/task";
    processes.pop_back();
    std::error_code gone;
    for (auto entry = fs::directory_iterator(folder, gone); !gone && entry != fs::end(entry);
         entry.increment(gone)) {
      threads.push_back(static_cast<pid_t>(std::atoi(entry->path().filename().c_str())));
      const std::vector<pid_t> children = children_of(entry->path());
      processes.insert(processes.end(), children.begin(), children.end());
    }
  }
  return threads;
}

// How long a thread was ready to run and did not; the second number of its schedstat.
std::chrono::nanoseconds waited_for_processor(pid_t pid) {
  std::ifstream file(process_folder(pid) + "/schedstat");
  std::uint64_t ran = 0, waited = 0;
  file >> ran >> waited;
  return std::chrono::nanoseconds(waited);
}

// The one processor that a thread may run on.
std::optional<int> processor_of(pid_t pid) {
  cpu_set_t set;
  if (::sched_getaffinity(pid, sizeof set, &set) != 0 || CPU_COUNT(&set) != 1) return std::nullopt;
  for (int processor = 0; processor < CPU_SETSIZE; ++processor) {
    if (CPU_ISSET(processor, &set)) return processor;
  }
  return std::nullopt;
}

}  // namespace

std::vector<ProcessorTime> read_processor_times() {
  std::vector<ProcessorTime> times;
  std::ifstream file("/proc/stat");
  for (std::string line; std::getline(file, line) && line.starts_with("cpu");) {
    std::istringstream words(line.substr(3));
    std::size_t number = 0;
    // The first line is the sum of all.
    if (line[3] == ' ' || !(words >> number) || number >= CPU_SETSIZE) continue;
    ProcessorTime time;
    std::uint64_t value = 0;
    for (int column = 0; column < 8 && words >> value; ++column) {
      time.all += value;
      if (column == 3 || column == 4) time.idle += value;  // idle, and idle for want of a disk
    }
    times.resize(std::max(times.size(), number + 1));
    times[number] = time;
  }
  return times;
}

void stay_on_this_processor() {
  cpu_set_t here;
  CPU_ZERO(&here);
  const int processor = ::sched_getcpu();
  if (processor < 0) return;
  CPU_SET(static_cast<std::size_t>(processor), &here);
  (void)::sched_setaffinity(0, sizeof here, &here);
}

std::optional<int> better_processor(int own, double waited,
                                    const std::vector<ProcessorTime>& before,
                                    const std::vector<ProcessorTime>& after,
                                    const cpu_set_t& allowed) {
  if (waited < kWorthMoving) return std::nullopt;
  std::optional<int> best;
  double most_idle = kIdleEnough;
  for (std::size_t number = 0; number < std::min(before.size(), after.size()); ++number) {
    if (static_cast<int>(number) == own || !CPU_ISSET(number, &allowed)) continue;
    if (after[number].all <= before[number].all || after[number].idle < before[number].idle)
      continue;
    const double idle = static_cast<double>(after[number].idle - before[number].idle) /
                        static_cast<double>(after[number].all - before[number].all);
    if (idle < most_idle) continue;
    most_idle = idle;
    best = static_cast<int>(number);
  }
  return best;
}

void move_tree(pid_t root, int processor) {
  cpu_set_t wanted;
  CPU_ZERO(&wanted);
  CPU_SET(static_cast<std::size_t>(processor), &wanted);
  for (int pass = 0; pass < kMovePasses; ++pass) {
    bool moved = false;
    for (const pid_t thread : threads_of_tree(root)) {
      if (processor_of(thread) == processor) continue;
      moved |= ::sched_setaffinity(thread, sizeof wanted, &wanted) == 0;
    }
    if (!moved) return;
  }
}

ProcessorWatch::ProcessorWatch(pid_t keeper) {
  const auto children =
      children_of(fs::path(process_folder(keeper)) / "task" / std::to_string(keeper));
  program_ = children.empty() ? keeper : children.front();
  CPU_ZERO(&allowed_);
  (void)::sched_getaffinity(0, sizeof allowed_, &allowed_);
  const auto now = Clock::now();
  last_ = sample(now);
  next_look_ = now + kFirstLook;
}

ProcessorWatch::Sample ProcessorWatch::sample(Clock::time_point now) const {
  return {now, waited_for_processor(program_), read_processor_times()};
}

void ProcessorWatch::look(Clock::time_point now) {
  if (now < next_look_) return;
  Sample fresh = sample(now);
  const double waited = std::chrono::duration<double>(fresh.waited - last_.waited) /
                        std::chrono::duration<double>(fresh.at - last_.at);
  const auto own = processor_of(program_);
  if (own) {
    const auto better = better_processor(*own, waited, last_.times, fresh.times, allowed_);
    if (better) {
      move_tree(program_, *better);
      log::debug("machine.moved", {{"from", *own}, {"to", *better}, {"waited", waited}});
    }
  }
  last_ = std::move(fresh);
  next_look_ = now + kInterval + milliseconds(program_ % kIntervalSpread);
}

}  // namespace mutua::vm
