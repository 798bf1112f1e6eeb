#include "base/result.h"

#include <cstdarg>
#include <cstdio>
#include <system_error>

namespace mutua {

Error errorf(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  va_list measured;
  va_copy(measured, arguments);
  const int length = std::vsnprintf(nullptr, 0, format, measured);
  va_end(measured);
  std::string text(length > 0 ? static_cast<std::size_t>(length) : 0, '\0');
  std::vsnprintf(text.data(), text.size() + 1, format, arguments);
  va_end(arguments);
  return Error(std::move(text));
}

Error errno_error(int errno_value, const std::string& operation) {
  return Error(operation + ": " + std::generic_category().message(errno_value));
}

}  // namespace mutua
