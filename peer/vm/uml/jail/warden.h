#pragma once

#include "peer/vm/machine.h"
#include "peer/vm/uml/control.h"
#include "peer/vm/uml/jail/guest_program.h"

namespace mutua::vm::uml {

// Runs one machine from its start to its end, inside mutua-machine: sets limits, starts the
// keeper and the network process, keeps the console's log, obeys the daemon. When the daemon's
// end of `daemon` closes, the machine dies at once. Returns when no process of it is left.
void run_warden(const MachineSpec& spec, GuestProgram& guest, const Channel& daemon);

}  // namespace mutua::vm::uml
