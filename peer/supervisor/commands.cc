#include "peer/supervisor/commands.h"

#include <boost/json/array.hpp>

#include "peer/snapshot/json_fields.h"
#include "peer/snapshot/ssh_signature.h"
#include "peer/supervisor/command_fields.h"
#include "peer/supervisor/scrapbook_commands.h"

namespace mutua::peer {
namespace {

using boost::json::array;
using boost::json::object;

constexpr std::uint64_t kLongestEvery = 24ULL * 3600 * 1000;

Result<std::string> service_field(const object& request) {
  const std::string text = TRY(text_field(request, "service"));
  return canonical_hostname(text);
}

object print(const ServiceStatus& status) {
  object fields{{"service", status.entry.service},
                {"role", status.entry.role == Role::owner ? "owner" : "host"}};
  if (status.entry.held) fields["manifest"] = status.entry.held->manifest.to_text();
  if (!status.replica) {
    fields["state"] = "not run here";
    return fields;
  }
  const ReplicaStatus& replica = *status.replica;
  fields["state"] = to_string(replica.phase);
  fields["detail"] = status.commitment_problem.empty() ? replica.detail : status.commitment_problem;
  fields["address"] = replica.private_address;
  fields["ports"] = print_ports(replica.ports);
  fields["memoryMib"] = replica.memory_mib;
  fields["pid"] = replica.pid;
  fields["restarts"] = replica.restarts;
  return fields;
}

object print(const ReplicaReport& report) {
  return {{"peer", report.peer},
          {"address", report.address},
          {"own", report.own},
          {"current", report.current},
          {"served", report.served},
          {"standing", report.own ? "owner" : to_string(report.standing)},
          {"outcome", report.standing == Standing::denied || !report.current
                          ? "not checked"
                          : to_string(report.outcome)},
          {"detail", report.detail},
          {"action", to_string(report.action)},
          {"actionProblem", report.action_problem}};
}

Result<object> run_status(Supervisor& supervisor) {
  const Registrar::Status registration = supervisor.registration();
  array addresses;
  for (const SocketAddress& address : supervisor.settings().addresses) {
    addresses.emplace_back(address.address_to_text());
  }
  return object{{"peer", supervisor.peer()},
                {"key", ssh_public_key(supervisor.public_key())},
                {"zone", supervisor.settings().zone.to_text()},
                {"addresses", std::move(addresses)},
                {"exchangePort", supervisor.exchange_port()},
                {"registered", registration.registered},
                {"problem", registration.problem},
                {"commitments", registration.commitments},
                {"capacity", supervisor.settings().capacity},
                {"leaseSeconds", supervisor.settings().lease.count()}};
}

Result<PublishRequest> parse_publish(const object& request) {
  PublishRequest publish;
  publish.service = TRY(service_field(request));
  if (request.contains("snapshot")) {
    publish.snapshot = TRY(text_field(request, "snapshot"));
    publish.update = TRY(text_field(request, "update")) == "yes";
  } else {
    publish.engine = TRY(text_field(request, "engine"));
    publish.files.kernel = TRY(text_field(request, "kernel"));
    publish.files.base_disk = TRY(text_field(request, "base"));
    publish.files.disk = TRY(text_field(request, "disk"));
    publish.memory_mib = static_cast<unsigned>(TRY(number_field(request, "memoryMib", 1 << 20)));
    publish.outbound = TRY(text_field(request, "outbound")) == "yes";
  }
  publish.own_identity = TRY(text_field(request, "ownIdentity")) == "yes";
  const auto ports = TRY(texts_field(request, "ports", kMostListElements));
  for (const std::string& text : ports) publish.ports.push_back(TRY(ServicePort::parse(text)));
  publish.checks = TRY(texts_field(request, "checks", kMostListElements));
  publish.admission = TRY(text_field(request, "admission"));
  if (publish.admission != "open" && publish.admission != "audited" &&
      publish.admission != "granted") {
    return Error("admission is open, audited or granted, not " + publish.admission);
  }
  publish.every =
      std::chrono::milliseconds(TRY(number_field(request, "everyMilliseconds", kLongestEvery)));
  if (publish.every < std::chrono::milliseconds(100))
    return Error("checks run at most each 100 ms");
  publish.run_here = TRY(text_field(request, "runHere")) == "yes";
  return publish;
}

Result<object> run_ps(Supervisor& supervisor) {
  array services;
  for (const ServiceStatus& status : supervisor.services()) services.push_back(print(status));
  return object{{"services", std::move(services)}};
}

Result<object> run_logs(Supervisor& supervisor, const object& request) {
  const std::string service = TRY(service_field(request));
  return print_console(supervisor.console_log(service), service);
}

Result<object> run_replicas(Supervisor& supervisor, const object& request) {
  const std::string service = TRY(service_field(request));
  const auto views = TRY(supervisor.replicas(service));
  array replicas;
  for (const auto& view : views) {
    object fields{{"peer", view.peer},
                  {"address", view.address},
                  {"current", view.current},
                  {"served", view.served}};
    if (view.last_audit) fields["audit"] = print(*view.last_audit);
    replicas.push_back(std::move(fields));
  }
  return object{{"replicas", std::move(replicas)}};
}

Result<object> run_audit(Supervisor& supervisor, const object& request) {
  const std::string service = TRY(service_field(request));
  const auto reports = TRY(supervisor.audit(service));
  array replicas;
  for (const ReplicaReport& report : reports) replicas.push_back(print(report));
  return object{{"replicas", std::move(replicas)}};
}

Result<object> run_verdict(Supervisor& supervisor, const object& request, bool admit) {
  const std::string service = TRY(service_field(request));
  const std::string peer = TRY(text_field(request, "peer"));
  if (admit) {
    TRY(supervisor.admit(service, peer));
  } else {
    const std::string reason = TRY(text_field(request, "reason"));
    TRY(supervisor.deny(service, peer, reason));
  }
  return object{};
}

Result<object> run_flow(Supervisor& supervisor, const std::string& command, const object& request,
                        const StepReport& report) {
  if (command == "publish") {
    const PublishRequest publish = TRY(parse_publish(request));
    return print(TRY(supervisor.publish(publish, report)));
  }
  const std::string service = TRY(service_field(request));
  if (command == "host") return print(TRY(supervisor.host(service, report)));
  if (command == "stop") {
    TRY(supervisor.stop(service, report));
  } else {
    TRY(supervisor.withdraw(service, report));
  }
  return object{};
}

}  // namespace

control::Handler make_command_handler(Supervisor& supervisor) {
  return [&supervisor](const object& request, control::Progress progress) -> Result<object> {
    const StepReport report = [&progress](const std::string& line) {
      progress(object{{"line", line}});
    };
    const std::string command = TRY(text_field(request, "command"));
    if (command == "status") return run_status(supervisor);
    if (command == "ps") return run_ps(supervisor);
    if (command == "logs") return run_logs(supervisor, request);
    if (command == "replicas") return run_replicas(supervisor, request);
    if (command == "audit") return run_audit(supervisor, request);
    if (command == "admit") return run_verdict(supervisor, request, true);
    if (command == "deny") return run_verdict(supervisor, request, false);
    if (command == "publish" || command == "host" || command == "stop" || command == "withdraw") {
      return run_flow(supervisor, command, request, report);
    }
    if (auto done = run_scrapbook_command(supervisor, command, request, report)) return *done;
    return Error("unknown command: " + command);
  };
}

}  // namespace mutua::peer
