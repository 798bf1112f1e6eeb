#include "peer/supervisor/command_fields.h"

#include "base/durable_file.h"

namespace mutua::peer {
namespace {

using boost::json::array;
using boost::json::object;

constexpr std::size_t kLargestLogBytes = 2 << 20;
constexpr std::size_t kLogTailBytes = 64 * 1024;

}  // namespace

array print_ports(const std::vector<vm::BoundPort>& ports) {
  array values;
  for (const vm::BoundPort& port : ports) {
    values.push_back(object{{"protocol", vm::to_string(port.protocol)},
                            {"guestPort", port.guest_port},
                            {"hostAddress", port.host_address},
                            {"hostPort", port.host_port}});
  }
  return values;
}

Result<object> print_console(const std::filesystem::path& log, const std::string& machine) {
  const auto content = read_file(log, kLargestLogBytes);
  if (!content.ok()) return Error("no machine of " + machine + " has run here");
  std::string_view text = as_text(*content);
  if (text.size() > kLogTailBytes) text = text.substr(text.size() - kLogTailBytes);
  return object{{"text", text}};
}

}  // namespace mutua::peer
