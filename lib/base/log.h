#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

namespace mutua::log {

enum class Level { debug, info, warning, error };

struct Field {
  Field(std::string_view name, std::string_view content) : key(name), value(content) {}
  Field(std::string_view name, const char* content) : key(name), value(content) {}
  Field(std::string_view name, const std::string& content) : key(name), value(content) {}
  template <typename Number>
  requires std::is_arithmetic_v<Number> Field(std::string_view name, Number number)
      : key(name), value(std::to_string(number)) {}

  std::string_view key;
  std::string value;
};

// One line to stderr: "2026-01-31T12:00:00.123Z info update.refused zone=fed.example
// reason=denied". Values with spaces or quotes are quoted; control characters are escaped.
// Thread-safe.
void write(Level level, std::string_view event, std::initializer_list<Field> fields = {});

inline void debug(std::string_view event, std::initializer_list<Field> fields = {}) {
  write(Level::debug, event, fields);
}
inline void info(std::string_view event, std::initializer_list<Field> fields = {}) {
  write(Level::info, event, fields);
}
inline void warning(std::string_view event, std::initializer_list<Field> fields = {}) {
  write(Level::warning, event, fields);
}
inline void error(std::string_view event, std::initializer_list<Field> fields = {}) {
  write(Level::error, event, fields);
}

// Lines below `level` are dropped. The default is info.
void set_level(Level level);

}  // namespace mutua::log
