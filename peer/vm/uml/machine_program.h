#pragma once

#include <filesystem>
#include <memory>

#include "peer/vm/machine.h"
#include "peer/vm/uml/control.h"

namespace mutua::vm::uml {

// A machine under a mutua-machine process of its own, whichever engine that runs: `order` is the
// first message to it (control.h) and carries `spec`, which is validated here. `program` is the
// mutua-machine executable. Never blocks.
Result<std::unique_ptr<Machine>> start_machine_program(const std::filesystem::path& program,
                                                       const Message& order,
                                                       const MachineSpec& spec);

}  // namespace mutua::vm::uml
