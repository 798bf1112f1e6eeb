#pragma once

#include "peer/vm/control.h"
#include "peer/vm/jail/guest_program.h"
#include "peer/vm/machine.h"

namespace mutua::vm {

// Runs one machine from its start to its end, inside mutua-machine: starts the keeper and the
// network process, waits for the daemon to say which machine, sets limits, keeps the console's log,
// obeys the daemon. When the daemon's end of `daemon` closes, the machine dies at once. Returns
// when no process of it is left.
//
// What costs most of a start needs nothing of the machine: namespaces, and moving processes into
// control groups, for which the host's kernel waits until every processor has passed a quiet point.
// It is done before the daemon speaks, so that a daemon may have it done ahead of time.
void run_warden(GuestProgram& guest, const Channel& daemon);

}  // namespace mutua::vm
