#include "peer/vm/qemu/qemu_engine.h"

#include <unistd.h>

namespace mutua::vm::qemu {

Result<void> QemuEngine::available() const {
  if (::access(qemu_.c_str(), X_OK) != 0) {
    return errorf("%s is missing: apt-get install qemu-system-x86", qemu_.c_str());
  }
  return {};
}

Result<std::unique_ptr<Machine>> QemuEngine::start(const MachineSpec& spec) {
  TRY(available());
  return program_.start(spec);
}

}  // namespace mutua::vm::qemu
