#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "peer/vm/machine.h"

namespace mutua::vm {

// A MachineSpec as the daemon hands it to mutua-machine: strict `key = value` lines.
//
//   name = shop
//   kernel = /var/cache/mutua/kernel/…/linux
//   port = tcp 127.0.0.1 20000-20999 80        repeated; 0-0 is any host port
//   …
std::string to_text(const MachineSpec& spec);

// The reverse. Unknown, repeated and missing keys are errors; the result is validated.
Result<MachineSpec> spec_from_text(std::string_view text);

// "tcp 127.0.0.1 20001 80", as mutua-machine reports a listening port.
std::string to_text(const BoundPort& port);
Result<BoundPort> bound_port_from_text(std::string_view text);

// The same for what a snapshot is asked for and what it became.
std::string to_text(const SnapshotRequest& request);
Result<SnapshotRequest> snapshot_request_from_text(std::string_view text);

// Where a take's files lie before they get their names.
std::filesystem::path taking_folder(const SnapshotRequest& request);

// "pages=5120 bytes=20979712 runs=44 frozen_us=… write_us=… generation=0": the words of the guest's
// kernel. Other keys than those of the report are skipped.
Result<SnapshotReport> snapshot_report_from_text(std::string_view text);

}  // namespace mutua::vm
