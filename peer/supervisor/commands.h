#pragma once

#include "control/control.h"
#include "peer/supervisor/supervisor.h"

namespace mutua::peer {

// The daemon's side of the `mutua` command: turns requests of the control socket into calls of the
// supervisor, and what comes back into JSON.
//
//   {"command": "status"}                                     the peer itself
//   {"command": "ps"}                                         the services known here
//   {"command": "publish", "service", "engine", "kernel", "base", "disk", "memoryMib", "outbound",
//    "ports": [], "checks": [], "ownIdentity", "admission", "everyMilliseconds", "runHere"}
//    or, in place of the first six after "service", "snapshot", "update"
//   {"command": "host" | "stop" | "withdraw", "service"}
//   {"command": "logs", "service"}                            {"text"}: the console's last 64 KiB
//   {"command": "replicas" | "audit", "service"}
//   {"command": "admit", "service", "peer"}   {"command": "deny", "service", "peer", "reason"}
//
// and those of scrapbook_commands.h. Progress is {"line": "…"}.
control::Handler make_command_handler(Supervisor& supervisor);

}  // namespace mutua::peer
