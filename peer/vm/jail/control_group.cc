#include "peer/vm/jail/control_group.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include "base/log.h"
#include "base/unique_fd.h"

namespace mutua::vm {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "mutua-machine-";
constexpr std::uint64_t kCpuPeriodMicroseconds = 100'000;

bool write_value(const fs::path& file, const std::string& value) {
  const UniqueFd out(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
  return out &&
         ::write(out.get(), value.data(), value.size()) == static_cast<ssize_t>(value.size());
}

// Where this process stands: controller -> folder; the second generation is under "".
std::map<std::string, fs::path> own_groups() {
  std::map<std::string, fs::path> mounts;
  std::ifstream mounts_file("/proc/self/mounts");
  for (std::string line; std::getline(mounts_file, line);) {
    std::istringstream words(line);
    std::string device, folder, type, options;
    words >> device >> folder >> type >> options;
    if (type == "cgroup2") mounts.emplace("", folder);
    if (type != "cgroup") continue;
    std::istringstream list(options);
    for (std::string option; std::getline(list, option, ',');) mounts.emplace(option, folder);
  }
  std::map<std::string, fs::path> groups;
  std::ifstream groups_file("/proc/self/cgroup");
  for (std::string line; std::getline(groups_file, line);) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string path = line.substr(second + 1);
    std::istringstream list(line.substr(first + 1, second - first - 1) + ",");
    for (std::string controller; std::getline(list, controller, ',');) {
      const auto mount = mounts.find(controller);
      if (mount != mounts.end()) groups.emplace(controller, mount->second / path.substr(1));
    }
  }
  return groups;
}

void remove_leftovers(const fs::path& parent) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(parent, ignored)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(kPrefix)) continue;
    pid_t pid = 0;
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + kPrefix.size(), end, pid);
    if (parsed.ptr != end || pid <= 0) continue;
    // rmdir refuses a group that still has processes.
    if (::kill(pid, 0) != 0 && errno == ESRCH) ::rmdir(entry.path().c_str());
  }
}

// Pages of the guest's memory are the host's page cache, and each guest process costs the host
// page tables beside them.
std::string memory_limit(const MachineSpec& spec, std::uint64_t overhead_bytes, bool) {
  return std::to_string(spec.memory_bytes + spec.memory_bytes / 4 + (64ull << 20) + overhead_bytes);
}

// The period is what a new group of either generation has.
std::string processor_limit(const MachineSpec& spec, std::uint64_t, bool second_generation) {
  const std::string quota =
      std::to_string(spec.limits.cpu_percent * (kCpuPeriodMicroseconds / 100));
  return second_generation ? quota + ' ' + std::to_string(kCpuPeriodMicroseconds) : quota;
}

std::string process_limit(const MachineSpec& spec, std::uint64_t, bool) {
  return std::to_string(spec.limits.processes);
}

struct Controller {
  const char* name;
  const char* file_v1;
  const char* file_v2;
  std::string (*value)(const MachineSpec& spec, std::uint64_t overhead_bytes,
                       bool second_generation);
};

constexpr std::array kControllers = {
    Controller{"memory", "memory.limit_in_bytes", "memory.max", memory_limit},
    Controller{"cpu", "cpu.cfs_quota_us", "cpu.max", processor_limit},
    Controller{"pids", "pids.max", "pids.max", process_limit},
};

}  // namespace

ControlGroup ControlGroup::create() {
  ControlGroup group;
  const auto groups = own_groups();
  const std::string name = std::string(kPrefix) + std::to_string(::getpid());

  const auto make_folder = [&](const fs::path& parent) -> fs::path {
    remove_leftovers(parent);
    fs::path folder = parent / name;
    for (const fs::path& known : group.folders_) {
      if (known == folder) return folder;
    }
    if (::mkdir(folder.c_str(), 0755) != 0) return {};
    group.folders_.push_back(folder);
    return folder;
  };
  const auto find_v1 = [&](const char* controller) -> Home {
    const auto parent = groups.find(controller);
    return parent == groups.end() ? Home{} : Home{make_folder(parent->second), false};
  };
  // A group of the second generation that has processes cannot hand memory to children, unless it is
  // the root; then the group beside ours serves. It could hand down the others, but a process has one
  // group for all of them: memory, which comes first, decides.
  fs::path parent_v2;
  const auto find_v2 = [&](const char* controller, const char* file) -> Home {
    const auto own = groups.find("");
    if (own == groups.end()) return {};
    for (const fs::path& parent : {own->second, own->second.parent_path()}) {
      if (!parent_v2.empty() && parent != parent_v2) continue;
      if (!write_value(parent / "cgroup.subtree_control", '+' + std::string(controller)) &&
          !fs::exists(parent / name / file)) {
        continue;
      }
      if (const fs::path folder = make_folder(parent); fs::exists(folder / file)) {
        parent_v2 = parent;
        return {folder, true};
      }
    }
    return {};
  };
  for (const Controller& controller : kControllers) {
    Home home = find_v1(controller.name);
    if (home.folder.empty()) home = find_v2(controller.name, controller.file_v2);
    if (!home.folder.empty()) group.homes_.emplace(controller.name, std::move(home));
  }
  return group;
}

void ControlGroup::limit(const MachineSpec& spec, std::uint64_t overhead_bytes) const {
  for (const Controller& controller : kControllers) {
    const auto home = homes_.find(controller.name);
    if (home != homes_.end()) {
      const bool second = home->second.second_generation;
      const fs::path file =
          home->second.folder / (second ? controller.file_v2 : controller.file_v1);
      if (write_value(file, controller.value(spec, overhead_bytes, second))) continue;
    }
    log::warning("machine.unlimited", {{"name", spec.name},
                                       {"controller", controller.name},
                                       {"reason", "no writable control group"}});
  }
}

ControlGroup::~ControlGroup() {
  // The last exit may still be on its way out of the group.
  for (const fs::path& folder : folders_) {
    for (int attempt = 0; attempt < 100; ++attempt) {
      if (::rmdir(folder.c_str()) == 0 || errno != EBUSY) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
}

void ControlGroup::add(pid_t pid) const {
  for (const fs::path& folder : folders_) {
    if (!write_value(folder / "cgroup.procs", std::to_string(pid))) {
      log::warning("machine.unlimited", {{"group", folder.string()}, {"reason", "cannot enter"}});
    }
  }
}

bool ControlGroup::ran_out_of_memory() const {
  for (const fs::path& folder : folders_) {
    for (const char* file : {"memory.events", "memory.oom_control"}) {
      std::ifstream counters(folder / file);
      std::string key;
      for (std::uint64_t value = 0; counters >> key >> value;) {
        if (key == "oom_kill" && value > 0) return true;
      }
    }
  }
  return false;
}

}  // namespace mutua::vm
