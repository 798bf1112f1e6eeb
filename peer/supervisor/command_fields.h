#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "peer/vm/machine.h"

namespace mutua::peer {

// What the answers to several commands have in common.

constexpr std::size_t kMostListElements = 16;

boost::json::array print_ports(const std::vector<vm::BoundPort>& ports);
// {"text"}: the last 64 KiB of a machine's console.
Result<boost::json::object> print_console(const std::filesystem::path& log,
                                          const std::string& machine);

}  // namespace mutua::peer
