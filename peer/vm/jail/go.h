#pragma once

#include "base/result.h"
#include "peer/vm/control.h"
#include "peer/vm/machine.h"

namespace mutua::vm {

// How the warden's children, which are there before anything is known of their machine, learn of
// it: "go" and the spec's text. By then their ids are mapped and their limits set.
bool send_go(const Channel& child, const MachineSpec& spec);

// Waits for that, as long as it takes. Ends the process when the warden is gone.
Result<MachineSpec> wait_for_go(const Channel& warden);

}  // namespace mutua::vm
