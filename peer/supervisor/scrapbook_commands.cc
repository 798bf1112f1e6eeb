#include "peer/supervisor/scrapbook_commands.h"

#include <boost/json/array.hpp>

#include "peer/snapshot/json_fields.h"
#include "peer/supervisor/command_fields.h"

namespace mutua::peer {
namespace {

using boost::json::array;
using boost::json::object;

constexpr std::uint64_t kMostMemoryMib = 1 << 20;

array print_layers(const SnapshotLayers& layers) {
  array values;
  for (const Descriptor& layer : layers.descriptors()) {
    values.push_back(object{{"mediaType", layer.media_type},
                            {"digest", layer.digest.to_text()},
                            {"size", layer.size_bytes}});
  }
  return values;
}

object print(const Page& page) {
  array ports;
  for (const ServicePort& port : page.ports) ports.emplace_back(port.to_text());
  object fields{{"name", page.name},
                {"machine", page.machine},
                {"parent", page.parent},
                {"created", page.created},
                {"engine", page.engine},
                {"memoryMib", page.memory_mib},
                {"address", page.address},
                {"ports", std::move(ports)},
                {"diskBytes", page.layers.disk_delta.size_bytes},
                {"depth", page.layers.memory.size()},
                {"generation", page.generation},
                {"frozenMicroseconds", page.frozen.count()},
                {"layers", print_layers(page.layers)}};
  if (!page.layers.memory.empty()) {
    fields["memoryBytes"] = page.layers.memory.back().blob.size_bytes;
    fields["contentBytes"] = page.layers.memory.back().content_bytes;
  }
  return fields;
}

object print(const MachineView& view) {
  const RunningMachine::Status& status = view.status;
  object fields{{"name", view.page.name},
                {"state", status.is_frozen ? "frozen" : (status.runs ? "running" : "stopped")},
                {"address", view.page.address},
                {"memoryMib", view.page.memory_mib},
                {"parent", view.page.parent},
                {"ports", print_ports(status.ports)}};
  if (status.runs) fields["pid"] = status.pid;
  if (status.exit) {
    fields["detail"] = std::string(vm::to_string(status.exit->reason)) + " " + status.exit->detail;
  }
  return fields;
}

Result<std::vector<ServicePort>> ports_field(const object& request) {
  std::vector<ServicePort> ports;
  const auto texts = TRY(texts_field(request, "ports", kMostListElements));
  for (const std::string& text : texts) ports.push_back(TRY(ServicePort::parse(text)));
  return ports;
}

Result<object> boot(Scrapbook& book, const object& request, const StepReport& report) {
  BootRequest boot;
  boot.name = TRY(text_field(request, "name"));
  if (!request.contains("kernel")) return print(TRY(book.boot_again(boot.name)));
  boot.engine = TRY(text_field(request, "engine"));
  boot.kernel = TRY(text_field(request, "kernel"));
  boot.base_disk = TRY(text_field(request, "base"));
  boot.disk = TRY(text_field(request, "disk"));
  boot.memory_mib = static_cast<unsigned>(TRY(number_field(request, "memoryMib", kMostMemoryMib)));
  boot.ports = TRY(ports_field(request));
  boot.outbound = TRY(text_field(request, "outbound")) == "yes";
  return print(TRY(book.boot(boot, report)));
}

Result<object> run_machine(Scrapbook& book, const std::string& action, const object& request,
                           const StepReport& report) {
  if (action == "list") {
    array machines;
    for (const MachineView& view : book.machines()) machines.push_back(print(view));
    return object{{"machines", std::move(machines)}};
  }
  if (action == "boot") return boot(book, request, report);
  const std::string name = TRY(text_field(request, "name"));
  if (action == "freeze") {
    TRY(book.freeze(name));
  } else if (action == "continue") {
    TRY(book.go_on(name));
  } else if (action == "stop") {
    const std::string discard = TRY(text_field(request, "discard"));
    TRY(book.stop(name, discard == "yes"));
  } else if (action == "agent") {
    const MachineView view = TRY(book.machine(name));
    if (!view.status.agent_port) return Error("machine " + name + " does not run");
    return object{{"port", *view.status.agent_port}, {"token", view.status.agent}};
  } else if (action == "console") {
    TRY(check_page_name(name));
    return print_console(book.console_log(name), name);
  } else {
    return Error("unknown command: machine " + action);
  }
  return object{};
}

Result<object> run_snapshot(Supervisor& supervisor, const std::string& action,
                            const object& request, const StepReport& report) {
  Scrapbook& book = supervisor.scrapbook();
  if (action == "list") {
    array snapshots;
    const auto pages = TRY(book.snapshots());
    for (const Page& page : pages) snapshots.push_back(print(page));
    return object{{"snapshots", std::move(snapshots)}};
  }
  const std::string name = TRY(text_field(request, "name"));
  if (action == "show") return print(TRY(book.snapshot(name)));
  if (action == "take") {
    const std::string machine = TRY(text_field(request, "machine"));
    const std::string leave = TRY(text_field(request, "leave"));
    return print(TRY(book.take(machine, name, leave == "yes", report)));
  }
  if (action == "resume") {
    const std::string machine = TRY(text_field(request, "machine"));
    auto ports = TRY(ports_field(request));
    return print(TRY(book.resume(name, machine, std::move(ports), report)));
  }
  if (action == "delta") {
    const std::string parent = TRY(text_field(request, "parent"));
    return print(TRY(book.rebase(name, parent)));
  }
  if (action == "expand") return print(TRY(book.rebase(name, std::nullopt)));
  if (action == "verify") {
    TRY(book.verify(name));
  } else if (action == "remove") {
    TRY(supervisor.remove_snapshot(name));
  } else {
    return Error("unknown command: snapshot " + action);
  }
  return object{};
}

}  // namespace

std::optional<Result<object>> run_scrapbook_command(Supervisor& supervisor,
                                                    const std::string& command,
                                                    const object& request,
                                                    const StepReport& report) {
  const std::string_view text = command;
  if (text.starts_with("machine ")) {
    return run_machine(supervisor.scrapbook(), command.substr(8), request, report);
  }
  if (text.starts_with("snapshot ")) {
    return run_snapshot(supervisor, command.substr(9), request, report);
  }
  return std::nullopt;
}

}  // namespace mutua::peer
