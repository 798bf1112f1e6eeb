#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "peer/vm/machine.h"

namespace mutua::vm::uml {

// The host's limits on one machine: memory, processor, processes. Both generations of cgroups are
// understood, also mixed. What a host does not allow is logged as machine.unlimited and left out:
// rlimits and the guest's fixed memory remain.
//
// Groups lie below the caller's own, named mutua-machine-<pid of the caller>. A caller that was
// killed leaves an empty group behind; the next one removes it.
class ControlGroup {
 public:
  // The memory limit is the guest's memory, a quarter more, 64 MiB for the host's own books, and
  // the engine's overhead.
  static ControlGroup create(const MachineSpec& spec, std::uint64_t overhead_bytes = 0);

  ControlGroup(ControlGroup&&) = default;
  ControlGroup& operator=(ControlGroup&&) = default;
  // Removes the groups, which must be empty by then.
  ~ControlGroup();

  void add(pid_t pid) const;

  // Whether the host's kernel has killed a process of it for want of memory.
  bool ran_out_of_memory() const;

 private:
  ControlGroup() = default;

  std::vector<std::filesystem::path> folders_;
};

}  // namespace mutua::vm::uml
