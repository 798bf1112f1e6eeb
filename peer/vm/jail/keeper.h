#pragma once

#include "base/unique_fd.h"
#include "peer/vm/control.h"
#include "peer/vm/jail/guest_program.h"
#include "peer/vm/jail/jail.h"
#include "peer/vm/machine.h"

namespace mutua::vm {

// The first process of a machine's process-id namespace: is told of the machine, builds the jail
// around itself, starts the guest's kernel in it and waits for its end. When the keeper dies, the
// host's kernel kills every process of the machine.
//
//   warden -> keeper   go                the spec's text; the ids are mapped and the limits set
//                      stop              ask the guest to shut down
//                      take              milliseconds, a new line, "leave" or "go on"
//   keeper -> warden   started
//                      taken, untaken    how that went
//                      failed            why the guest's kernel was not started
//                      ended             "exit 0", "signal 9", …
// End of file from the warden ends the keeper.
struct KeeperPipes {
  UniqueFd console;   // the guest's output
  UniqueFd ethernet;  // the guest's end of the virtual network
  UniqueFd denials;   // for send_listener()
};
[[noreturn]] void run_keeper(const JailUser& user, GuestProgram& guest, Channel warden,
                             KeeperPipes pipes);

}  // namespace mutua::vm
