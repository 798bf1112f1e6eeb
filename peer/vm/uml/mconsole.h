#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mutua::vm::uml {

// Sends one command to a User-Mode Linux's management console ("version", "cad", "halt", …) and
// returns what it answers. Blocks until the answer is complete or the deadline passes. A refusal
// by the kernel is an error with its words. `interrupt`, unless -1, is a descriptor that ends the
// wait when it is readable.
Result<std::string> mconsole_request(const std::filesystem::path& socket, std::string_view command,
                                     std::chrono::milliseconds deadline, int interrupt = -1);

}  // namespace mutua::vm::uml
