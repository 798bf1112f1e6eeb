#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mutua::cli {

// Asks a daemon. Its progress lines go to stderr: on a terminal each replaces the one before.
Result<boost::json::object> ask(const std::filesystem::path& socket,
                                const boost::json::object& request);

// Columns that are as wide as they need to be; the first row is the heading.
void print_table(const std::vector<std::vector<std::string>>& rows);
// On stdout, on one line. Always succeeds: the last word of a command.
Result<void> print_json(const boost::json::value& value);
void print_line(const std::string& line);

// A field as a person reads it; empty where it is absent.
std::string text_of(const boost::json::object& object, std::string_view name);

}  // namespace mutua::cli
