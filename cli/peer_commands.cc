#include <boost/json/array.hpp>

#include "base/config.h"
#include "cli/command.h"
#include "cli/output.h"

namespace mutua::cli {
namespace {

using boost::json::array;
using boost::json::object;

constexpr const char* kStatusHelp = R"(usage: mutua peer status [--json]

Shows this machine's peer: its name, its key as OpenSSH writes it, its addresses, whether the
authority has it registered.
)";
constexpr const char* kPublishHelp =
    R"(usage: mutua publish NAME --from-snapshot SNAPSHOT [options]
       mutua publish NAME --from-snapshot SNAPSHOT --update
       mutua publish NAME --base IMG --kernel FILE --disk FILE --port 80/tcp... [options]

Publishes a service under NAME, signs it, claims the name, offers it to other peers, and runs a
replica here. From a snapshot of the scrapbook each replica goes on where the machine was taken; from
a disk, which is told by its difference from the base, each boots. Publishing again replaces what was
published; other peers follow by themselves, each starting the new before it ends the old.

  --update             a newer snapshot of the same service: all else stays as it is published
  --own-identity       each replica has a machine-id and a hostname of its own
  --port N/tcp|udp     a port that the service listens at; may repeat (the snapshot's)
  --check CHECK        what a good replica answers; may repeat; the first TCP port is checked:
                         http:/path[;status=200][;digest=sha256:...][;pattern=REGEX]
                         exec:/program    gets address and port as arguments; exit status 0 is good
                         tcp:             a connection that stays open
                       default: http:/ where 80/tcp is a port, tcp: otherwise
  --every 10s          how often each replica is checked
  --engine uml|qemu    what runs the machine that boots (uml)
  --memory MIB         of the machine that boots (64)
  --admission WHO      audited: replicas are served after a passed check (default)
                       open: at once; granted: after 'mutua admit'
  --outbound           the service that boots needs outbound connections
  --no-run             do not run a replica here
)";
constexpr const char* kHostHelp = R"(usage: mutua host NAME

Runs a replica of somebody's service here: finds who offers it, fetches and verifies it, boots it in
a machine of its own, and commits to it when it answers.
)";
constexpr const char* kPsHelp = R"(usage: mutua ps [--json]

Shows the services of this peer and their machines.
)";
constexpr const char* kLogsHelp = R"(usage: mutua logs NAME

Shows the end of the console of the service's machine here.
)";
constexpr const char* kStopHelp = R"(usage: mutua stop NAME

Ends this peer's replica of a service and its commitment. The owner of the service goes on to offer
and to check it; 'mutua host NAME' runs it again.
)";
constexpr const char* kWithdrawHelp = R"(usage: mutua withdraw NAME

Ends a service that this peer published: its name is given back, and no peer serves it any more.
)";
constexpr const char* kReplicasHelp = R"(usage: mutua replicas NAME [--json]

Shows who committed to a service and who is served; its owner also sees the last checks.
)";
constexpr const char* kAuditHelp = R"(usage: mutua audit NAME [--json]

Checks every replica of a service of this peer now, says what was found, and acts on it: the first
passed check admits a replica, two altered answers of the last three deny it.
)";
constexpr const char* kAdmitHelp = R"(usage: mutua admit NAME PEER

Lets a peer's replica of your service be served, and lifts a denial.
)";
constexpr const char* kDenyHelp = R"(usage: mutua deny NAME PEER [--reason WORD]

Takes a peer's replica of your service out of the served list for good ('mutua admit' lifts it).
)";

std::string short_peer(const std::string& peer) { return peer.substr(0, 12); }

object request_for(const char* command, const Arguments& arguments) {
  return {{"command", command}, {"service", arguments.word(0)}};
}

Result<void> run_status(const Arguments& arguments, const Sockets& sockets) {
  const object status = TRY(ask(sockets.peer, {{"command", "status"}}));
  if (arguments.has("json")) return print_json(status);
  print_line("peer        " + text_of(status, "peer"));
  print_line("key         " + text_of(status, "key"));
  print_line("zone        " + text_of(status, "zone"));
  print_line("exchange    port " + text_of(status, "exchangePort"));
  print_line("registered  " + text_of(status, "registered") +
             (text_of(status, "problem").empty() ? "" : ": " + text_of(status, "problem")));
  print_line("commitments " + text_of(status, "commitments") + " of " +
             text_of(status, "capacity"));
  return {};
}

Result<void> print_committed(const object& service) {
  print_line(text_of(service, "service") + " is " + text_of(service, "state") + "; manifest " +
             text_of(service, "manifest"));
  const std::string ports = ports_of(service);
  if (!ports.empty()) print_line("ports: " + ports);
  return {};
}

Result<void> run_publish(const Arguments& arguments, const Sockets& sockets) {
  array ports, checks;
  for (const std::string& port : arguments.all("port")) ports.emplace_back(port);
  for (const std::string& check : arguments.all("check")) checks.emplace_back(check);
  const std::string every_text = TRY(arguments.one("every", "10s"));
  const auto every = TRY(parse_duration(every_text));
  object request = request_for("publish", arguments);
  const std::string snapshot = TRY(arguments.one("from-snapshot", ""));
  if (!snapshot.empty()) {
    request["snapshot"] = snapshot;
    request["update"] = arguments.has("update") ? "yes" : "no";
  } else {
    if (ports.empty()) return Error("--port is missing");
    const std::string memory = TRY(arguments.one("memory", "64"));
    request["engine"] = TRY(arguments.one("engine", "uml"));
    request["kernel"] = absolute(TRY(arguments.required("kernel")));
    request["base"] = absolute(TRY(arguments.required("base")));
    request["disk"] = absolute(TRY(arguments.required("disk")));
    request["memoryMib"] = TRY(parse_mebibytes(memory));
    request["outbound"] = arguments.has("outbound") ? "yes" : "no";
  }
  request["ports"] = std::move(ports);
  request["checks"] = std::move(checks);
  request["admission"] = TRY(arguments.one("admission", "audited"));
  request["everyMilliseconds"] = every.count();
  request["ownIdentity"] = arguments.has("own-identity") ? "yes" : "no";
  request["runHere"] = arguments.has("no-run") ? "no" : "yes";
  const object service = TRY(ask(sockets.peer, request));
  return print_committed(service);
}

Result<void> run_host(const Arguments& arguments, const Sockets& sockets) {
  const object service = TRY(ask(sockets.peer, request_for("host", arguments)));
  return print_committed(service);
}

Result<void> run_ps(const Arguments& arguments, const Sockets& sockets) {
  const object result = TRY(ask(sockets.peer, {{"command", "ps"}}));
  if (arguments.has("json")) return print_json(list_of(result, "services"));
  std::vector<std::vector<std::string>> rows{
      {"SERVICE", "ROLE", "STATE", "ADDRESS", "PORTS", "MEMORY", "RESTARTS", "DETAIL"}};
  for (const auto& value : list_of(result, "services")) {
    const object& service = value.as_object();
    const std::string memory = text_of(service, "memoryMib");
    rows.push_back({text_of(service, "service"), text_of(service, "role"),
                    text_of(service, "state"), text_of(service, "address"), ports_of(service),
                    memory.empty() ? "" : memory + " MiB", text_of(service, "restarts"),
                    text_of(service, "detail")});
  }
  print_table(rows);
  return {};
}

Result<void> run_logs(const Arguments& arguments, const Sockets& sockets) {
  const object result = TRY(ask(sockets.peer, request_for("logs", arguments)));
  print_console(text_of(result, "text"));
  return {};
}

Result<void> run_stop(const Arguments& arguments, const Sockets& sockets) {
  TRY(ask(sockets.peer, request_for("stop", arguments)));
  print_line(arguments.word(0) + " is stopped here");
  return {};
}

Result<void> run_withdraw(const Arguments& arguments, const Sockets& sockets) {
  TRY(ask(sockets.peer, request_for("withdraw", arguments)));
  print_line(arguments.word(0) + " is withdrawn");
  return {};
}

Result<void> run_replicas(const Arguments& arguments, const Sockets& sockets) {
  const object result = TRY(ask(sockets.peer, request_for("replicas", arguments)));
  if (arguments.has("json")) return print_json(list_of(result, "replicas"));
  std::vector<std::vector<std::string>> rows{
      {"PEER", "ADDRESS", "SERVED", "MANIFEST", "STANDING", "LAST CHECK", "DETAIL"}};
  for (const auto& value : list_of(result, "replicas")) {
    const object& replica = value.as_object();
    const auto* audit = replica.if_contains("audit");
    const object none;
    const object& report = audit && audit->is_object() ? audit->get_object() : none;
    rows.push_back(
        {short_peer(text_of(replica, "peer")), text_of(replica, "address"),
         text_of(replica, "served"), text_of(replica, "current") == "yes" ? "current" : "another",
         text_of(report, "standing"), text_of(report, "outcome"), text_of(report, "detail")});
  }
  print_table(rows);
  return {};
}

Result<void> run_audit(const Arguments& arguments, const Sockets& sockets) {
  const object result = TRY(ask(sockets.peer, request_for("audit", arguments)));
  if (arguments.has("json")) return print_json(list_of(result, "replicas"));
  for (const auto& value : list_of(result, "replicas")) {
    const object& report = value.as_object();
    std::string line = short_peer(text_of(report, "peer")) + " at " + text_of(report, "address") +
                       " (" + text_of(report, "standing") + "): " + text_of(report, "outcome");
    if (!text_of(report, "detail").empty()) line += ", " + text_of(report, "detail");
    if (text_of(report, "action") != "none") line += " -> " + text_of(report, "action");
    if (!text_of(report, "actionProblem").empty()) {
      line += " failed: " + text_of(report, "actionProblem");
    }
    print_line(line);
  }
  return {};
}

Result<void> run_admit(const Arguments& arguments, const Sockets& sockets) {
  object request = request_for("admit", arguments);
  request["peer"] = arguments.word(1);
  TRY(ask(sockets.peer, request));
  return {};
}

Result<void> run_deny(const Arguments& arguments, const Sockets& sockets) {
  object request = request_for("deny", arguments);
  request["peer"] = arguments.word(1);
  request["reason"] = TRY(arguments.one("reason", "byhand"));
  TRY(ask(sockets.peer, request));
  return {};
}

}  // namespace

std::vector<Command> peer_commands() {
  return {
      {"peer status", "show this machine's peer", kStatusHelp, {{}, {"json"}, 0, 0}, run_status},
      {"publish",
       "publish a service",
       kPublishHelp,
       {{"from-snapshot", "engine", "base", "kernel", "disk", "port", "check", "every", "memory",
         "admission"},
        {"update", "own-identity", "outbound", "no-run"},
        1,
        1},
       run_publish},
      {"host", "run a replica of a service", kHostHelp, {{}, {}, 1, 1}, run_host},
      {"ps", "show the services here", kPsHelp, {{}, {"json"}, 0, 0}, run_ps},
      {"logs", "show a machine's console", kLogsHelp, {{}, {}, 1, 1}, run_logs},
      {"stop", "end a replica here", kStopHelp, {{}, {}, 1, 1}, run_stop},
      {"withdraw", "end a service of yours", kWithdrawHelp, {{}, {}, 1, 1}, run_withdraw},
      {"replicas", "show who runs a service", kReplicasHelp, {{}, {"json"}, 1, 1}, run_replicas},
      {"audit",
       "check the replicas of your service now",
       kAuditHelp,
       {{}, {"json"}, 1, 1},
       run_audit},
      {"admit", "let a replica be served", kAdmitHelp, {{}, {}, 2, 2}, run_admit},
      {"deny", "take a replica out of the list", kDenyHelp, {{"reason"}, {}, 2, 2}, run_deny},
  };
}

}  // namespace mutua::cli
