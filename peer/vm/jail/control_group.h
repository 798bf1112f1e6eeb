#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "peer/vm/machine.h"

namespace mutua::vm {

// The host's limits on one machine: memory, processor, processes. Both generations of cgroups are
// understood, also mixed. What a host does not allow is logged as machine.unlimited and left out:
// rlimits and the guest's fixed memory remain.
//
// Groups lie below the caller's own, named mutua-machine-<pid of the caller>. A caller that was
// killed leaves an empty group behind; the next one removes it.
class ControlGroup {
 public:
  // Without limits yet.
  static ControlGroup create();

  ControlGroup(ControlGroup&&) = default;
  ControlGroup& operator=(ControlGroup&&) = default;
  // Removes the groups, which must be empty by then.
  ~ControlGroup();

  // Slow, tens of milliseconds at times: the host's kernel waits for all its processors. What a
  // process of the group forks is in the group.
  void add(pid_t pid) const;

  // Sets the limits of `spec`. Memory: the guest's, a quarter more, 64 MiB for the host's own
  // books, and the engine's overhead.
  void limit(const MachineSpec& spec, std::uint64_t overhead_bytes) const;

  // Whether the host's kernel has killed a process of it for want of memory.
  bool ran_out_of_memory() const;

 private:
  ControlGroup() = default;

  struct Home {
    std::filesystem::path folder;
    bool second_generation = false;
  };
  std::vector<std::filesystem::path> folders_;
  std::map<std::string, Home> homes_;  // by controller
};

}  // namespace mutua::vm
