#include "cli/output.h"

#include <unistd.h>

#include <boost/json/serialize.hpp>
#include <cstdio>

#include "control/control.h"

namespace mutua::cli {
namespace {

// Texts of a daemon may hold what a stranger wrote: nothing of it steers the terminal.
std::string printable(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    result += byte < 0x20 || byte == 0x7f ? '?' : c;
  }
  return result;
}

}  // namespace

Result<boost::json::object> ask(const std::filesystem::path& socket,
                                const boost::json::object& request) {
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  bool shown = false;
  const control::Progress on_progress = [&](const boost::json::object& progress) {
    const std::string line = printable(text_of(progress, "line"));
    std::fprintf(stderr, terminal ? "\r\033[K%s" : "%s\n", line.c_str());
    shown = true;
  };
  auto result = control::call(socket, request, on_progress, std::chrono::milliseconds(0));
  if (terminal && shown) std::fputs("\r\033[K", stderr);
  return result;
}

void print_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t column = 0; column < row.size(); ++column) {
      widths[column] = std::max(widths[column], row[column].size());
    }
  }
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t column = 0; column < row.size(); ++column) {
      line += printable(row[column]);
      if (column + 1 < row.size()) line.append(widths[column] - row[column].size() + 2, ' ');
    }
    print_line(line);
  }
}

Result<void> print_json(const boost::json::value& value) {
  print_line(boost::json::serialize(value));
  return {};
}

void print_line(const std::string& line) { std::printf("%s\n", line.c_str()); }

std::string text_of(const boost::json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  if (!value || value->is_null()) return "";
  if (value->is_string()) return std::string(value->get_string());
  if (value->is_bool()) return value->get_bool() ? "yes" : "no";
  return boost::json::serialize(*value);
}

void print_console(std::string text) {
  std::erase(text, '\r');
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f) c = '?';
  }
  std::fwrite(text.data(), 1, text.size(), stdout);
}

const boost::json::array& list_of(const boost::json::object& object, std::string_view name) {
  static const boost::json::array none;
  const auto* value = object.if_contains(name);
  return value && value->is_array() ? value->get_array() : none;
}

std::string ports_of(const boost::json::object& object) {
  std::string text;
  for (const auto& value : list_of(object, "ports")) {
    if (!value.is_object()) continue;
    const boost::json::object& port = value.get_object();
    text += (text.empty() ? "" : " ") + text_of(port, "hostAddress") + ":" +
            text_of(port, "hostPort") + "->" + text_of(port, "guestPort") + "/" +
            text_of(port, "protocol");
  }
  return text;
}

std::string absolute(const std::string& path) { return std::filesystem::absolute(path).string(); }

}  // namespace mutua::cli
