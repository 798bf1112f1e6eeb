#include "peer/vm/uml/uml_engine.h"

#include "peer/vm/uml/machine_program.h"
#include "peer/vm/uml/spec_text.h"

namespace mutua::vm::uml {

Result<std::unique_ptr<Machine>> UmlEngine::start(const MachineSpec& spec) {
  return start_machine_program(machine_program_, {"spec", to_text(spec)}, spec);
}

}  // namespace mutua::vm::uml
