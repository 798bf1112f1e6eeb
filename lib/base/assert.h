#pragma once

namespace mutua {

// Logs "BUG: <expression> at <file>:<line>" to stderr and aborts.
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

}  // namespace mutua

// A condition that only a bug can break. Checked in every build.
#define BASE_ASSERT(condition)                                   \
  do {                                                           \
    if (!(condition)) [[unlikely]]                               \
      ::mutua::assertion_failed(#condition, __FILE__, __LINE__); \
  } while (false)
