#include <boost/json/array.hpp>
#include <charconv>
#include <filesystem>
#include <optional>

#include "cli/command.h"
#include "cli/output.h"
#include "resolver/install/nsswitch.h"
#include "resolver/install/resolv_conf.h"
#include "resolver/install/service_unit.h"

namespace mutua::cli {
namespace {

using boost::json::object;

constexpr const char* kLookupHelp = R"(usage: mutua lookup HOST:PORT[/udp] [--json]

Shows which peers serve HOST at PORT, what this machine's resolver measured of each, and which one
it takes next, and why.
)";
constexpr const char* kStatusHelp = R"(usage: mutua resolver status [--json]

Shows what this machine's resolver holds.
)";
constexpr const char* kFlushHelp = R"(usage: mutua resolver flush

Makes the resolver forget its cached lists and what it measured.
)";
constexpr const char* kInstallHelp =
    R"(usage: mutua resolver install [--root /] [--stub ADDRESS] [--unit]

Puts 'mutua' into the hosts line of /etc/nsswitch.conf, before 'dns'.
  --stub ADDRESS  /etc/resolv.conf names the resolver's stub listener (stub_listen = ADDRESS), for
                  programs that ask DNS themselves; real DNS is found in the former file
  --unit          systemd runs mutua-resolver from the next boot on
  --root FOLDER   the machine's root folder, of an image or a container
Former files stay beside the new ones. 'mutua resolver uninstall' puts all of them back.
)";
constexpr const char* kUninstallHelp =
    R"(usage: mutua resolver uninstall [--root /]

Undoes all that 'mutua resolver install' has done. What others have written into these files since
stays.
)";

Result<object> lookup_request(const std::string& text) {
  std::string_view rest = text;
  std::string transport = "tcp";
  if (const auto slash = rest.find('/'); slash != std::string_view::npos) {
    transport = rest.substr(slash + 1);
    rest = rest.substr(0, slash);
  }
  const auto colon = rest.rfind(':');
  unsigned port = 0;
  const char* end = rest.data() + rest.size();
  const auto number = colon == std::string_view::npos
                          ? std::from_chars_result{end, std::errc::invalid_argument}
                          : std::from_chars(rest.data() + colon + 1, end, port);
  const bool known = transport == "tcp" || transport == "udp";
  if (number.ec != std::errc{} || number.ptr != end || port == 0 || port > 65535 || !known) {
    return Error("expected HOST:PORT or HOST:PORT/udp, not " + text);
  }
  return object{{"command", "lookup"},
                {"host", rest.substr(0, colon)},
                {"port", port},
                {"transport", transport}};
}

std::string with_unit(const object& candidate, std::string_view name, const char* unit) {
  const auto* value = candidate.if_contains(name);
  if (!value || !value->is_number()) return "-";
  char text[48];
  std::snprintf(text, sizeof text, "%.1f %s", value->to_number<double>(), unit);
  return text;
}

Result<void> run_lookup(const Arguments& arguments, const Sockets& sockets) {
  const object request = TRY(lookup_request(arguments.word(0)));
  const object result = TRY(ask(sockets.resolver, request));
  if (arguments.has("json")) return print_json(result);
  if (text_of(result, "held") != "yes") {
    print_line(arguments.word(0) + " is not held by the federation: real DNS answers for it");
    return {};
  }
  print_line(text_of(result, "host") + " is " + text_of(result, "address") + " on this machine");
  const auto* candidates = result.if_contains("candidates");
  if (!candidates || !candidates->is_array() || candidates->get_array().empty()) {
    print_line("no peer serves this port now");
    return {};
  }
  std::vector<std::vector<std::string>> rows{
      {"", "PEER", "ADDRESS", "VISITS", "RTT", "BANDWIDTH", "WHY"}};
  for (const auto& value : candidates->get_array()) {
    const object& candidate = value.as_object();
    const std::string peer = text_of(candidate, "target");
    rows.push_back({rows.size() == 1 ? "next" : "",
                    peer.substr(0, std::min<std::size_t>(12, peer.find('.'))),
                    text_of(candidate, "address"), text_of(candidate, "visits"),
                    with_unit(candidate, "rtt_ms", "ms"),
                    with_unit(candidate, "bandwidth_mbit_s", "Mbit/s"), text_of(candidate, "why")});
  }
  print_table(rows);
  return {};
}

// "address 192.0.2.53:53, standing answers, rtt_ms 0.2"
std::string on_one_line(const object& fields) {
  std::string line;
  for (const auto& [key, value] : fields)
    line += (line.empty() ? "" : ", ") + std::string(key) + " " + text_of(fields, key);
  return line;
}

Result<void> run_status(const Arguments& arguments, const Sockets& sockets) {
  const object result = TRY(ask(sockets.resolver, {{"command", "status"}}));
  if (arguments.has("json")) return print_json(result);
  std::vector<std::vector<std::string>> rows;
  for (const auto& [key, value] : result) {
    if (value.is_object()) {
      rows.push_back({std::string(key), on_one_line(value.get_object())});
      continue;
    }
    if (!value.is_array()) {
      rows.push_back({std::string(key), text_of(result, key)});
      continue;
    }
    for (const auto& one : value.get_array())
      rows.push_back({std::string(key), one.is_object()   ? on_one_line(one.get_object())
                                        : one.is_string() ? std::string(one.get_string())
                                                          : ""});
  }
  print_table(rows);
  return {};
}

Result<void> run_flush(const Arguments&, const Sockets& sockets) {
  TRY(ask(sockets.resolver, {{"command", "flush"}}));
  return {};
}

// Where the daemon's program is: beside this one.
Result<std::filesystem::path> own_folder() {
  std::error_code problem;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", problem);
  if (problem) return Error("find the programs: " + problem.message());
  return self.parent_path();
}

Result<void> run_install(const Arguments& arguments, const Sockets&) {
  const std::filesystem::path root = TRY(arguments.one("root", "/"));
  const std::string stub = TRY(arguments.one("stub", ""));
  const auto nsswitch = root / "etc/nsswitch.conf", resolv_conf = root / "etc/resolv.conf";
  const auto tell = [](const std::filesystem::path& file, bool changed, const char* what) {
    print_line(file.string() + ": " + what + (changed ? "" : " already"));
  };
  std::optional<SocketAddress> stub_address;
  if (!stub.empty()) stub_address = TRY(SocketAddress::parse(stub, 53));
  if (arguments.has("unit")) {
    const auto programs = TRY(own_folder());
    const bool placed = TRY(resolver::install_unit(root, programs));
    tell("mutua-resolver.service", placed, "is enabled");
  }
  tell(nsswitch, TRY(resolver::install_in(nsswitch)), "has mutua");
  if (stub_address) {
    tell(resolv_conf, TRY(resolver::install_stub_in(resolv_conf, *stub_address)), "names the stub");
  }
  return {};
}

Result<void> run_uninstall(const Arguments& arguments, const Sockets&) {
  const std::filesystem::path root = TRY(arguments.one("root", "/"));
  const auto nsswitch = root / "etc/nsswitch.conf", resolv_conf = root / "etc/resolv.conf";
  const auto tell = [](const std::filesystem::path& file, bool changed) {
    print_line(file.string() + (changed ? ": is as it was" : ": had nothing of ours"));
  };
  tell(resolv_conf, TRY(resolver::uninstall_stub_from(resolv_conf)));
  tell(nsswitch, TRY(resolver::uninstall_from(nsswitch)));
  const auto programs = TRY(own_folder());
  const bool removed = TRY(resolver::uninstall_unit(root, programs));
  tell("mutua-resolver.service", removed);
  return {};
}

}  // namespace

std::vector<Command> resolver_commands() {
  return {
      {"lookup", "show who serves a host and port", kLookupHelp, {{}, {"json"}, 1, 1}, run_lookup},
      {"resolver status",
       "show this machine's resolver",
       kStatusHelp,
       {{}, {"json"}, 0, 0},
       run_status},
      {"resolver flush",
       "forget cached lists and measurements",
       kFlushHelp,
       {{}, {}, 0, 0},
       run_flush},
      {"resolver install",
       "let this machine's programs use Mutua",
       kInstallHelp,
       {{"root", "stub"}, {"unit"}, 0, 0},
       run_install},
      {"resolver uninstall", "undo that", kUninstallHelp, {{"root"}, {}, 0, 0}, run_uninstall},
  };
}

}  // namespace mutua::cli
