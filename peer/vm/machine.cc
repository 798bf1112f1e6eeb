#include "peer/vm/machine.h"

#include <arpa/inet.h>

#include <algorithm>

namespace mutua::vm {
namespace {

constexpr std::uint64_t kLeastMemoryBytes = 16u << 20;
constexpr std::uint64_t kMostMemoryBytes = 64ull << 30;
constexpr std::size_t kMostPorts = 64;
constexpr std::chrono::milliseconds kLongestTake{600'000};

bool is_name(const std::string& name) {
  return !name.empty() && name.size() <= 48 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

bool is_hex_32(const std::string& text) {
  return text.size() == 32 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

// Paths travel as lines of text, and the kernel's command line knows no quotes.
Result<void> check_path(const char* field, const std::filesystem::path& path) {
  const std::string& text = path.native();
  if (!path.is_absolute()) return errorf("%s: not an absolute path: '%s'", field, text.c_str());
  const bool odd = std::any_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < ' ' || c == 0x7f;
  });
  if (odd || text.back() == ' ') return errorf("%s: unusable characters in the path", field);
  return {};
}

Result<in_addr> parse_address(const char* field, const std::string& text) {
  in_addr address{};
  if (inet_pton(AF_INET, text.c_str(), &address) != 1) {
    return errorf("%s: not an IPv4 address: '%s'", field, text.c_str());
  }
  return address;
}

}  // namespace

Result<void> validate(const MachineSpec& spec) {
  if (!is_name(spec.name)) return errorf("name: must match [a-z0-9-]{1,48}");
  TRY(check_path("kernel", spec.kernel));
  TRY(check_path("base_disk", spec.base_disk));
  TRY(check_path("scratch_disk", spec.scratch_disk));
  if (spec.memory_snapshot) TRY(check_path("memory_snapshot", *spec.memory_snapshot));
  TRY(check_path("console_log", spec.console_log));
  TRY(check_path("run_dir", spec.run_dir));
  if (spec.memory_bytes < kLeastMemoryBytes || spec.memory_bytes > kMostMemoryBytes ||
      spec.memory_bytes % 4096 != 0) {
    return errorf("memory_bytes: must be 16 MiB to 64 GiB in whole pages");
  }
  const in_addr address = TRY(parse_address("address", spec.address));
  const std::uint32_t number = ntohl(address.s_addr);
  // 10.255.255.0/24 is the host's side of the virtual network.
  if (number >> 24 != 10 || number >> 8 == 0x0affff || number == 0x0a000000) {
    return errorf("address: must lie in 10.0.0.1 to 10.255.254.255: '%s'", spec.address.c_str());
  }
  if (!spec.instance.empty() && !is_hex_32(spec.instance)) {
    return errorf("instance: must be 32 hex digits in lower case, or empty");
  }
  if (!spec.agent.empty() && !is_hex_32(spec.agent)) {
    return errorf("agent: must be 32 hex digits in lower case, or empty");
  }
  if (spec.ports.size() > kMostPorts) return errorf("ports: more than %zu", kMostPorts);
  for (const PortMapping& port : spec.ports) {
    TRY(parse_address("ports", port.host_address));
    if (port.guest_port == 0) return errorf("ports: the guest's port is missing");
    if (port.host_port_last < port.host_port_first ||
        (port.host_port_first == 0 && port.host_port_last != 0)) {
      return errorf("ports: %u-%u is not a range", port.host_port_first, port.host_port_last);
    }
  }
  if (spec.limits.cpu_percent == 0 || spec.limits.cpu_percent > 100000) {
    return errorf("cpu_percent: must be 1 to 100000");
  }
  if (spec.limits.processes < 16 || spec.limits.processes > 100000) {
    return errorf("processes: must be 16 to 100000");
  }
  return {};
}

Result<void> validate(const SnapshotRequest& request) {
  TRY(check_path("memory_file", request.memory_file));
  TRY(check_path("disk_copy", request.disk_copy));
  if (request.memory_file == request.disk_copy) return errorf("disk_copy: the same as memory_file");
  if (request.deadline <= std::chrono::milliseconds(0) || request.deadline > kLongestTake) {
    return errorf("deadline: must be 1 ms to 10 min");
  }
  return {};
}

Result<void> Machine::freeze() { return errorf("this engine freezes no machines"); }

Result<void> Machine::go_on() { return errorf("this engine freezes no machines"); }

Result<void> Machine::take(const SnapshotRequest&) {
  return errorf("this engine takes no snapshots");
}

const std::optional<Result<SnapshotReport>>& Machine::snapshot() const {
  static const std::optional<Result<SnapshotReport>> none;
  return none;
}

const char* to_string(Protocol protocol) { return protocol == Protocol::tcp ? "tcp" : "udp"; }

const char* to_string(State state) {
  switch (state) {
    case State::starting:
      return "starting";
    case State::running:
      return "running";
    case State::exited:
      return "exited";
  }
  return "exited";
}

const char* to_string(Exit::Reason reason) {
  switch (reason) {
    case Exit::Reason::halted:
      return "halted";
    case Exit::Reason::killed:
      return "killed";
    case Exit::Reason::crashed:
      return "crashed";
    case Exit::Reason::failed:
      return "failed";
  }
  return "failed";
}

Result<Engine*> find_engine(const Engines& engines, const std::string& name) {
  if (const auto found = engines.find(name); found != engines.end()) return found->second;
  std::string known;
  for (const auto& [each, engine] : engines) known += (known.empty() ? "" : ", ") + each;
  return errorf("no engine '%s' here; there is %s", name.c_str(), known.c_str());
}

}  // namespace mutua::vm
