#pragma once

#include <filesystem>

namespace mutua::test {

// A test program is SOURCE/build/PRESET/bin/NAME. Asked of the program itself: paths in a
// compiler's arguments would make each clone compile all tests anew.
inline std::filesystem::path build_folder() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path();
}
inline std::filesystem::path source_folder() { return build_folder().parent_path().parent_path(); }

}  // namespace mutua::test
