#pragma once

#include <boost/json/array.hpp>
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

// A machine's own words: all but line ends and tabs is made harmless.
void print_console(std::string text);

// A field as a person reads it; empty where it is absent.
std::string text_of(const boost::json::object& object, std::string_view name);
// A list among the fields; empty where it is absent.
const boost::json::array& list_of(const boost::json::object& object, std::string_view name);
// The mapped ports: "192.0.2.1:20001->80/tcp".
std::string ports_of(const boost::json::object& object);

// As the daemon finds it, which has another working directory.
std::string absolute(const std::string& path);

}  // namespace mutua::cli
