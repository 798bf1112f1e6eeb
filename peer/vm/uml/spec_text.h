#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "peer/vm/machine.h"

namespace mutua::vm::uml {

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

}  // namespace mutua::vm::uml
