#pragma once

#include <cstdint>
#include <functional>

#include "peer/vm/machine.h"

namespace mutua::vm {

// Tries `bind` with ports of the mapping's range in random order, at most 64 of them, until it
// succeeds; returns the port that it reports. {0, 0} calls it with 0.
Result<std::uint16_t> choose_host_port(
    const PortMapping& mapping,
    const std::function<Result<std::uint16_t>(std::uint16_t port)>& bind);

}  // namespace mutua::vm
