#include "peer/vm/qemu/qemu_engine.h"

#include <unistd.h>

#include "peer/vm/uml/machine_program.h"
#include "peer/vm/uml/spec_text.h"

namespace mutua::vm::qemu {

Result<void> QemuEngine::available() const {
  if (::access(qemu_.c_str(), X_OK) != 0) {
    return errorf("%s is missing: apt-get install qemu-system-x86", qemu_.c_str());
  }
  return {};
}

Result<std::unique_ptr<Machine>> QemuEngine::start(const MachineSpec& spec) {
  TRY(available());
  const std::string order =
      to_string(accelerator_) + (' ' + qemu_.string()) + '\n' + uml::to_text(spec);
  return uml::start_machine_program(machine_program_, {"qemu", order}, spec);
}

}  // namespace mutua::vm::qemu
