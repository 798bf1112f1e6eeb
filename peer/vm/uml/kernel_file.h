#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"

namespace mutua::vm::uml {

// The build id of a kernel's binary, in hex, as SnapshotHeader::build_id_text() has it. Reads a
// 64-bit little-endian ELF file's program headers and notes, each within bounds.
Result<std::string> read_kernel_build_id(const std::filesystem::path& kernel);

}  // namespace mutua::vm::uml
