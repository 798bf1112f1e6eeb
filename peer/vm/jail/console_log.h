#pragma once

#include <cstdint>
#include <filesystem>

#include "base/bytes.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace mutua::vm {

// A machine's console output, kept within bounds: `path` holds the newest part, at most
// kLargestConsoleBytes, and `path`.1 what was before it. The bytes are the guest's, unfiltered.
inline constexpr std::uint64_t kLargestConsoleBytes = 1 << 20;

class ConsoleLog {
 public:
  // Appends to a file that exists.
  static Result<ConsoleLog> open(const std::filesystem::path& path);

  // A full disk loses output; the machine runs on.
  void append(BytesView output);

 private:
  ConsoleLog(std::filesystem::path path, UniqueFd file, std::uint64_t bytes)
      : path_(std::move(path)), file_(std::move(file)), bytes_(bytes) {}

  void rotate();

  std::filesystem::path path_;
  UniqueFd file_;
  std::uint64_t bytes_;
};

}  // namespace mutua::vm
