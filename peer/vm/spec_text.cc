#include "peer/vm/spec_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "base/config.h"

namespace mutua::vm {
namespace {

template <std::size_t count>
Result<std::array<std::string_view, count>> split_words(std::string_view text) {
  std::array<std::string_view, count> words;
  for (std::size_t i = 0; i < count; ++i) {
    const auto end = text.find(' ');
    const bool last = i + 1 == count;
    if ((end == std::string_view::npos) != last) return errorf("expected %zu words", count);
    words[i] = text.substr(0, end);
    text = last ? std::string_view{} : text.substr(end + 1);
    if (words[i].empty()) return errorf("expected %zu words", count);
  }
  return words;
}

Result<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (failure != std::errc{} || end != text.data() + text.size()) {
    return errorf("not a port: '%s'", std::string(text).c_str());
  }
  return port;
}

Result<Protocol> parse_protocol(std::string_view text) {
  if (text == "tcp") return Protocol::tcp;
  if (text == "udp") return Protocol::udp;
  return errorf("not a protocol: '%s'", std::string(text).c_str());
}

Result<PortMapping> mapping_from_text(std::string_view text) {
  const auto words = TRY(split_words<4>(text));
  const auto dash = words[2].find('-');
  if (dash == std::string_view::npos) return errorf("not a port range");
  PortMapping mapping;
  mapping.protocol = TRY(parse_protocol(words[0]));
  mapping.host_address = words[1];
  mapping.host_port_first = TRY(parse_port(words[2].substr(0, dash)));
  mapping.host_port_last = TRY(parse_port(words[2].substr(dash + 1)));
  mapping.guest_port = TRY(parse_port(words[3]));
  return mapping;
}

std::string to_text(const PortMapping& port) {
  return std::string(to_string(port.protocol)) + ' ' + port.host_address + ' ' +
         std::to_string(port.host_port_first) + '-' + std::to_string(port.host_port_last) + ' ' +
         std::to_string(port.guest_port);
}

}  // namespace

std::string to_text(const MachineSpec& spec) {
  std::string text;
  const auto line = [&text](const char* key, const std::string& value) {
    text += std::string(key) + " = " + value + '\n';
  };
  line("name", spec.name);
  line("kernel", spec.kernel.native());
  line("base_disk", spec.base_disk.native());
  line("scratch_disk", spec.scratch_disk.native());
  if (spec.memory_snapshot) line("memory_snapshot", spec.memory_snapshot->native());
  line("memory_bytes", std::to_string(spec.memory_bytes));
  line("address", spec.address);
  if (!spec.instance.empty()) line("instance", spec.instance);
  if (!spec.agent.empty()) line("agent", spec.agent);
  for (const PortMapping& port : spec.ports) line("port", to_text(port));
  line("outbound", spec.outbound == Outbound::yes ? "yes" : "no");
  line("cpu_percent", std::to_string(spec.limits.cpu_percent));
  line("processes", std::to_string(spec.limits.processes));
  line("console_log", spec.console_log.native());
  line("run_dir", spec.run_dir.native());
  return text;
}

Result<MachineSpec> spec_from_text(std::string_view text) {
  constexpr auto any_32 = std::numeric_limits<std::uint32_t>::max();
  constexpr auto any_64 = std::numeric_limits<std::uint64_t>::max();
  Config config = TRY(Config::parse(text, "machine"));
  MachineSpec spec;
  spec.name = TRY(config.required_text("name"));
  spec.kernel = TRY(config.required_text("kernel"));
  spec.base_disk = TRY(config.required_text("base_disk"));
  spec.scratch_disk = TRY(config.required_text("scratch_disk"));
  if (auto snapshot = TRY(config.text("memory_snapshot", "")); !snapshot.empty()) {
    spec.memory_snapshot = std::move(snapshot);
  }
  spec.memory_bytes = TRY(config.number("memory_bytes", 0, 0, any_64));
  spec.address = TRY(config.required_text("address"));
  spec.instance = TRY(config.text("instance", ""));
  spec.agent = TRY(config.text("agent", ""));
  for (const std::string& value : config.list("port")) {
    auto mapping = mapping_from_text(value);
    if (!mapping.ok()) return mapping.error().in("machine: port");
    spec.ports.push_back(std::move(*mapping));
  }
  spec.outbound = TRY(config.yes_no("outbound", false)) ? Outbound::yes : Outbound::no;
  spec.limits.cpu_percent = static_cast<unsigned>(TRY(config.number("cpu_percent", 0, 0, any_32)));
  spec.limits.processes = static_cast<unsigned>(TRY(config.number("processes", 0, 0, any_32)));
  spec.console_log = TRY(config.required_text("console_log"));
  spec.run_dir = TRY(config.required_text("run_dir"));
  TRY(config.finish());
  TRY(validate(spec));
  return spec;
}

std::string to_text(const BoundPort& port) {
  return std::string(to_string(port.protocol)) + ' ' + port.host_address + ' ' +
         std::to_string(port.host_port) + ' ' + std::to_string(port.guest_port);
}

Result<BoundPort> bound_port_from_text(std::string_view text) {
  const auto words = TRY(split_words<4>(text));
  BoundPort port;
  port.protocol = TRY(parse_protocol(words[0]));
  port.host_address = words[1];
  port.host_port = TRY(parse_port(words[2]));
  port.guest_port = TRY(parse_port(words[3]));
  return port;
}

std::string to_text(const SnapshotRequest& request) {
  const bool leaves = request.after == SnapshotRequest::After::leave;
  return "memory_file = " + request.memory_file.native() +
         "\ndisk_copy = " + request.disk_copy.native() + "\nleave = " + (leaves ? "yes" : "no") +
         "\ndeadline_ms = " + std::to_string(request.deadline.count()) + '\n';
}

Result<SnapshotRequest> snapshot_request_from_text(std::string_view text) {
  Config config = TRY(Config::parse(text, "snapshot"));
  SnapshotRequest request;
  request.memory_file = TRY(config.required_text("memory_file"));
  request.disk_copy = TRY(config.required_text("disk_copy"));
  if (TRY(config.yes_no("leave", false))) request.after = SnapshotRequest::After::leave;
  request.deadline = std::chrono::milliseconds(
      TRY(config.number("deadline_ms", 0, 0, std::numeric_limits<std::uint32_t>::max())));
  TRY(config.finish());
  TRY(validate(request));
  return request;
}

std::filesystem::path taking_folder(const SnapshotRequest& request) {
  std::filesystem::path folder = request.memory_file;
  return folder += ".taking";
}

Result<SnapshotReport> snapshot_report_from_text(std::string_view text) {
  SnapshotReport report;
  std::uint64_t frozen = 0;
  struct Field {
    std::string_view key;
    std::uint64_t* value;
    bool seen = false;
  };
  Field fields[] = {{"pages", &report.pages},
                    {"bytes", &report.bytes},
                    {"frozen_us", &frozen},
                    {"generation", &report.generation}};
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    const auto equals = word.find('=');
    if (equals == std::string_view::npos) continue;
    for (Field& field : fields) {
      if (word.substr(0, equals) != field.key) continue;
      const char* end = word.data() + word.size();
      const auto parsed = std::from_chars(word.data() + equals + 1, end, *field.value);
      field.seen = parsed.ec == std::errc{} && parsed.ptr == end;
    }
  }
  for (const Field& field : fields) {
    if (!field.seen) return errorf("no %s in the report", std::string(field.key).c_str());
  }
  if (frozen > 1'000'000'000'000) return errorf("an absurd frozen_us in the report");
  report.frozen = std::chrono::microseconds(frozen);
  return report;
}

}  // namespace mutua::vm
