#pragma once

#include <filesystem>
#include <memory>

#include "peer/vm/machine_program.h"
#include "peer/vm/qemu/accelerator.h"

namespace mutua::vm::qemu {

// Runs machines in QEMU, each under a mutua-machine process that builds the same jail as for
// User-Mode Linux. The spec is the same: the kernel is what kernel/build.sh makes, the base disk
// uml/base/build.sh, the scratch disk a COW file above the base (uml/cow.h), which the start makes
// whole. A snapshot's memory is a file of its own kind (memory_file.h).
class QemuEngine final : public Engine {
 public:
  // `machine_program` is the mutua-machine executable, `qemu` QEMU's for this processor. Snapshots
  // stay with the accelerator that they were taken with.
  explicit QemuEngine(std::filesystem::path machine_program,
                      std::filesystem::path qemu = "/usr/bin/qemu-system-x86_64",
                      Accelerator accelerator = best_accelerator())
      : qemu_(std::move(qemu)),
        program_(std::move(machine_program), {"qemu", to_string(accelerator), qemu_.string()}) {}

  // An error tells what this host lacks: the name of a package, as a rule.
  Result<void> available() const;

  Result<std::unique_ptr<Machine>> start(const MachineSpec& spec) override;
  void keep_one_ready() override { program_.keep_one_ready(); }

 private:
  std::filesystem::path qemu_;
  MachineProgram program_;
};

}  // namespace mutua::vm::qemu
