#include <boost/json/array.hpp>

#include "cli/command.h"
#include "cli/output.h"

namespace mutua::cli {
namespace {

using boost::json::array;
using boost::json::object;

constexpr const char* kBootHelp =
    R"(usage: mutua machine boot NAME --kernel FILE --base IMG [--disk IMG] [options]
       mutua machine boot NAME

Boots a machine of your own on this peer. Without --disk it starts from the base disk as it is.
Without any option: boots one that was stopped, again, from its disk as it left it.

  --engine uml|qemu what runs it; qemu wants a kernel of its own (uml)
  --memory MIB      64
  --port N/tcp|udp  a port that is reached from this host; may repeat; 'mutua machine list' shows where
  --outbound        the machine may make connections to the internet
)";
constexpr const char* kMachineListHelp = R"(usage: mutua machine list [--json]

Shows your machines on this peer and where their ports are.
)";
constexpr const char* kFreezeHelp = R"(usage: mutua machine freeze NAME

Holds a machine still until 'mutua machine continue NAME'; its clients wait.
)";
constexpr const char* kContinueHelp = R"(usage: mutua machine continue NAME

Lets a frozen machine go on.
)";
constexpr const char* kMachineStopHelp = R"(usage: mutua machine stop NAME [--discard]

Asks the machine to shut down, and ends it after five seconds. Its disk stays for the next
'mutua machine boot NAME'; with --discard the machine goes for good. Snapshots of it stay.
)";
constexpr const char* kConsoleHelp = R"(usage: mutua machine console NAME

Shows the end of the machine's console.
)";
constexpr const char* kTakeHelp = R"(usage: mutua snapshot take MACHINE NAME [--leave]

Takes a snapshot of a running machine, memory and disk of one instant, and keeps it as NAME. The
machine stands still for some milliseconds and goes on; with --leave it ends with the snapshot.
A machine that was resumed is told by what changed since.
)";
constexpr const char* kSnapshotListHelp = R"(usage: mutua snapshot list [--json]

Shows the snapshots of this peer's scrapbook. MEMORY and DISK are what each adds to what it stands
on; DEPTH is how many memories it is made of.
)";
constexpr const char* kShowHelp = R"(usage: mutua snapshot show NAME [--json]

Shows one snapshot and the layers that it is made of.
)";
constexpr const char* kResumeHelp =
    R"(usage: mutua snapshot resume NAME MACHINE [--port N/tcp|udp...]

Starts a new machine that goes on where the snapshot was taken. A snapshot may be resumed any number
of times, side by side. Without --port it has the ports of the machine that was taken.
)";
constexpr const char* kRemoveHelp = R"(usage: mutua snapshot remove NAME

Removes a snapshot, and from the disk what no other snapshot, machine or service needs.
)";
constexpr const char* kDeltaHelp = R"(usage: mutua snapshot delta NAME PARENT

Tells a snapshot's memory by its difference from another one of the same base. It resumes to the
very same machine.
)";
constexpr const char* kExpandHelp = R"(usage: mutua snapshot expand NAME

Tells a snapshot's memory by itself alone, so that it stands on no other snapshot.
)";
constexpr const char* kVerifyHelp = R"(usage: mutua snapshot verify NAME

Reads all that a snapshot is made of and compares it with its digests.
)";

object named(const char* command, const Arguments& arguments) {
  return {{"command", command}, {"name", arguments.word(0)}};
}

array ports_argument(const Arguments& arguments) {
  array ports;
  for (const std::string& port : arguments.all("port")) ports.emplace_back(port);
  return ports;
}

std::string size_text(const object& fields, std::string_view name) {
  const auto* value = fields.if_contains(name);
  if (!value || !value->is_number()) return "";
  const auto kib = (value->to_number<std::uint64_t>() + 1023) / 1024;
  if (kib < 10'000) return std::to_string(kib) + " KiB";
  return std::to_string(kib / 1024) + " MiB";
}

void print_machine(const object& machine) {
  print_line(text_of(machine, "name") + " is " + text_of(machine, "state"));
  const std::string ports = ports_of(machine);
  if (!ports.empty()) print_line("ports: " + ports);
}

Result<void> run_boot(const Arguments& arguments, const Sockets& sockets) {
  object request = named("machine boot", arguments);
  if (arguments.all("kernel").empty() && arguments.all("base").empty()) {
    print_machine(TRY(ask(sockets.peer, request)));
    return {};
  }
  request["engine"] = TRY(arguments.one("engine", "uml"));
  request["kernel"] = absolute(TRY(arguments.required("kernel")));
  request["base"] = absolute(TRY(arguments.required("base")));
  const std::string disk = TRY(arguments.one("disk", ""));
  request["disk"] = disk.empty() ? "" : absolute(disk);
  const std::string memory = TRY(arguments.one("memory", "64"));
  request["memoryMib"] = TRY(parse_mebibytes(memory));
  request["ports"] = ports_argument(arguments);
  request["outbound"] = arguments.has("outbound") ? "yes" : "no";
  print_machine(TRY(ask(sockets.peer, request)));
  return {};
}

Result<void> run_machine_list(const Arguments& arguments, const Sockets& sockets) {
  const object result = TRY(ask(sockets.peer, {{"command", "machine list"}}));
  if (arguments.has("json")) return print_json(list_of(result, "machines"));
  std::vector<std::vector<std::string>> rows{
      {"MACHINE", "STATE", "ADDRESS", "PORTS", "MEMORY", "RESUMED FROM", "DETAIL"}};
  for (const auto& value : list_of(result, "machines")) {
    const object& machine = value.as_object();
    rows.push_back({text_of(machine, "name"), text_of(machine, "state"),
                    text_of(machine, "address"), ports_of(machine),
                    text_of(machine, "memoryMib") + " MiB", text_of(machine, "parent"),
                    text_of(machine, "detail")});
  }
  print_table(rows);
  return {};
}

Result<void> run_freeze(const Arguments& arguments, const Sockets& sockets) {
  TRY(ask(sockets.peer, named("machine freeze", arguments)));
  print_line(arguments.word(0) + " is frozen");
  return {};
}

Result<void> run_continue(const Arguments& arguments, const Sockets& sockets) {
  TRY(ask(sockets.peer, named("machine continue", arguments)));
  print_line(arguments.word(0) + " goes on");
  return {};
}

Result<void> run_machine_stop(const Arguments& arguments, const Sockets& sockets) {
  object request = named("machine stop", arguments);
  request["discard"] = arguments.has("discard") ? "yes" : "no";
  TRY(ask(sockets.peer, request));
  print_line(arguments.word(0) + (arguments.has("discard") ? " is gone" : " is stopped"));
  return {};
}

Result<void> run_console(const Arguments& arguments, const Sockets& sockets) {
  const object result = TRY(ask(sockets.peer, named("machine console", arguments)));
  print_console(text_of(result, "text"));
  return {};
}

void print_snapshot(const object& snapshot) {
  print_line("snapshot " + text_of(snapshot, "name") + " of " + text_of(snapshot, "machine") +
             ": memory " + size_text(snapshot, "memoryBytes") + ", disk " +
             size_text(snapshot, "diskBytes") + ", frozen " +
             text_of(snapshot, "frozenMicroseconds") + " us");
}

Result<void> run_take(const Arguments& arguments, const Sockets& sockets) {
  const object request{{"command", "snapshot take"},
                       {"machine", arguments.word(0)},
                       {"name", arguments.word(1)},
                       {"leave", arguments.has("leave") ? "yes" : "no"}};
  print_snapshot(TRY(ask(sockets.peer, request)));
  return {};
}

Result<void> run_snapshot_list(const Arguments& arguments, const Sockets& sockets) {
  const object result = TRY(ask(sockets.peer, {{"command", "snapshot list"}}));
  if (arguments.has("json")) return print_json(list_of(result, "snapshots"));
  std::vector<std::vector<std::string>> rows{
      {"SNAPSHOT", "MACHINE", "TAKEN", "MEMORY", "DISK", "DEPTH", "STANDS ON"}};
  for (const auto& value : list_of(result, "snapshots")) {
    const object& snapshot = value.as_object();
    rows.push_back({text_of(snapshot, "name"), text_of(snapshot, "machine"),
                    text_of(snapshot, "created"), size_text(snapshot, "memoryBytes"),
                    size_text(snapshot, "diskBytes"), text_of(snapshot, "depth"),
                    text_of(snapshot, "parent")});
  }
  print_table(rows);
  return {};
}

Result<void> run_show(const Arguments& arguments, const Sockets& sockets) {
  const object snapshot = TRY(ask(sockets.peer, named("snapshot show", arguments)));
  if (arguments.has("json")) return print_json(snapshot);
  print_snapshot(snapshot);
  print_line("taken " + text_of(snapshot, "created") + ", resumed " +
             text_of(snapshot, "generation") + " times before; " + text_of(snapshot, "memoryMib") +
             " MiB at " + text_of(snapshot, "address"));
  std::vector<std::vector<std::string>> rows{{"LAYER", "SIZE", "DIGEST"}};
  for (const auto& value : list_of(snapshot, "layers")) {
    const object& layer = value.as_object();
    rows.push_back(
        {text_of(layer, "mediaType"), size_text(layer, "size"), text_of(layer, "digest")});
  }
  print_table(rows);
  return {};
}

Result<void> run_resume(const Arguments& arguments, const Sockets& sockets) {
  object request = named("snapshot resume", arguments);
  request["machine"] = arguments.word(1);
  request["ports"] = ports_argument(arguments);
  print_machine(TRY(ask(sockets.peer, request)));
  return {};
}

Result<void> run_remove(const Arguments& arguments, const Sockets& sockets) {
  TRY(ask(sockets.peer, named("snapshot remove", arguments)));
  print_line(arguments.word(0) + " is removed");
  return {};
}

Result<void> run_delta(const Arguments& arguments, const Sockets& sockets) {
  object request = named("snapshot delta", arguments);
  request["parent"] = arguments.word(1);
  print_snapshot(TRY(ask(sockets.peer, request)));
  return {};
}

Result<void> run_expand(const Arguments& arguments, const Sockets& sockets) {
  print_snapshot(TRY(ask(sockets.peer, named("snapshot expand", arguments))));
  return {};
}

Result<void> run_verify(const Arguments& arguments, const Sockets& sockets) {
  TRY(ask(sockets.peer, named("snapshot verify", arguments)));
  print_line(arguments.word(0) + " is whole");
  return {};
}

}  // namespace

std::vector<Command> scrapbook_commands() {
  return {
      {"machine boot",
       "boot a machine of your own",
       kBootHelp,
       {{"engine", "kernel", "base", "disk", "memory", "port"}, {"outbound"}, 1, 1},
       run_boot},
      {"machine list",
       "show your machines",
       kMachineListHelp,
       {{}, {"json"}, 0, 0},
       run_machine_list},
      {"machine freeze", "hold a machine still", kFreezeHelp, {{}, {}, 1, 1}, run_freeze},
      {"machine continue", "let it go on", kContinueHelp, {{}, {}, 1, 1}, run_continue},
      {"machine stop",
       "shut a machine down",
       kMachineStopHelp,
       {{}, {"discard"}, 1, 1},
       run_machine_stop},
      {"machine console", "show a machine's console", kConsoleHelp, {{}, {}, 1, 1}, run_console},
      {"snapshot take",
       "keep a running machine as it is",
       kTakeHelp,
       {{}, {"leave"}, 2, 2},
       run_take},
      {"snapshot list",
       "show the scrapbook",
       kSnapshotListHelp,
       {{}, {"json"}, 0, 0},
       run_snapshot_list},
      {"snapshot show", "show one snapshot", kShowHelp, {{}, {"json"}, 1, 1}, run_show},
      {"snapshot resume",
       "start a machine from a snapshot",
       kResumeHelp,
       {{"port"}, {}, 2, 2},
       run_resume},
      {"snapshot remove", "remove a snapshot", kRemoveHelp, {{}, {}, 1, 1}, run_remove},
      {"snapshot delta", "tell it by another snapshot", kDeltaHelp, {{}, {}, 2, 2}, run_delta},
      {"snapshot expand", "tell it by itself alone", kExpandHelp, {{}, {}, 1, 1}, run_expand},
      {"snapshot verify", "check all its content", kVerifyHelp, {{}, {}, 1, 1}, run_verify},
  };
}

}  // namespace mutua::cli
