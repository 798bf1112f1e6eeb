#pragma once

#include <filesystem>
#include <memory>

#include "peer/vm/machine_program.h"

namespace mutua::vm::uml {

// Runs machines as User-Mode Linux, each under a mutua-machine process of its own that builds the
// jail (see README.md). The kernel and the base disk come from kernel/build.sh and base/build.sh;
// a scratch disk is a COW file above the base (cow.h).
class UmlEngine final : public Engine {
 public:
  // `machine_program` is the mutua-machine executable.
  explicit UmlEngine(std::filesystem::path machine_program)
      : program_(std::move(machine_program), {"uml"}) {}

  Result<std::unique_ptr<Machine>> start(const MachineSpec& spec) override {
    return program_.start(spec);
  }
  void keep_one_ready() override { program_.keep_one_ready(); }

 private:
  MachineProgram program_;
};

}  // namespace mutua::vm::uml
