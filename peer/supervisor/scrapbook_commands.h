#pragma once

#include <optional>
#include <string>

#include "control/control.h"
#include "peer/supervisor/supervisor.h"

namespace mutua::peer {

// The owner's machines and snapshots, for `mutua machine` and `mutua snapshot`.
//
//   {"command": "machine boot", "name", "engine", "kernel", "base", "disk", "memoryMib",
//    "ports": [], "outbound"}                           "kernel" absent: one that ended, again
//   {"command": "machine list"}
//   {"command": "machine freeze" | "machine continue" | "machine console", "name"}
//   {"command": "machine stop", "name", "discard"}
//   {"command": "machine agent", "name"}             {"port", "token"}: how `mutua machine run` gets in
//   {"command": "snapshot take", "machine", "name", "leave"}
//   {"command": "snapshot list"}
//   {"command": "snapshot show" | "snapshot remove" | "snapshot expand" | "snapshot verify", "name"}
//   {"command": "snapshot resume", "name", "machine", "ports": []}
//   {"command": "snapshot delta", "name", "parent"}
//
// Nothing where the command is none of these.
std::optional<Result<boost::json::object>> run_scrapbook_command(Supervisor& supervisor,
                                                                 const std::string& command,
                                                                 const boost::json::object& request,
                                                                 const StepReport& report);

}  // namespace mutua::peer
