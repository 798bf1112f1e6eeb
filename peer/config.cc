#include "peer/config.h"

#include <sys/socket.h>

#include <system_error>

#include "base/config.h"

namespace mutua::peer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::filesystem::path default_machine_program() {
  std::error_code problem;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", problem);
  return problem ? "/usr/libexec/mutua-machine" : self.parent_path() / "mutua-machine";
}

Result<std::vector<SocketAddress>> addresses_of(Config& config, std::string_view key,
                                                int default_port) {
  std::vector<SocketAddress> addresses;
  for (const std::string& text : config.list(key)) {
    auto address = SocketAddress::parse(text, default_port);
    if (!address.ok()) return config.error_at(key, address.error().message());
    addresses.push_back(std::move(*address));
  }
  if (addresses.empty()) return config.error_at(key, "at least one is needed");
  return addresses;
}

Result<void> read_network(Config& config, SupervisorSettings& settings) {
  settings.authorities = TRY(addresses_of(config, "authority", 53));
  settings.addresses = TRY(addresses_of(config, "address", 0));
  for (const SocketAddress& address : settings.addresses) {
    if (address.family() != AF_INET) {
      return config.error_at(
          "address", "machines are mapped to IPv4 addresses only: " + address.address_to_text());
    }
    if (address.port() != 0) return config.error_at("address", "an address without a port");
  }
  settings.exchange_port =
      static_cast<std::uint16_t>(TRY(config.number("exchange_port", 0, 0, 65535)));
  const std::string ports = TRY(config.text("host_ports", ""));
  if (!ports.empty()) {
    auto range = PortRange::parse(ports);
    if (!range.ok()) return config.error_at("host_ports", range.error().message());
    settings.host_ports = *range;
  }
  return {};
}

Result<seconds> read_lease(Config& config) {
  const milliseconds lease = TRY(config.duration("lease", seconds(60)));
  if (lease < seconds(1) || lease > std::chrono::hours(2)) {
    return config.error_at("lease", "must be between 1s and 2h");
  }
  return std::chrono::floor<seconds>(lease);
}

}  // namespace

Result<PeerConfig> load_config(const std::filesystem::path& path) {
  Config config = TRY(Config::load(path));
  PeerConfig result;
  SupervisorSettings& settings = result.supervisor;
  settings.state = TRY(config.required_text("state"));
  const std::string zone = TRY(config.required_text("zone"));
  auto name = wire::Name::parse(zone);
  if (!name.ok()) return config.error_at("zone", name.error().message());
  settings.zone = name->lowered();
  TRY(read_network(config, settings));
  settings.lease = TRY(read_lease(config));
  settings.capacity = static_cast<unsigned>(TRY(config.number("capacity", 8, 0, kMostMachines)));
  settings.memory_limit_mib =
      static_cast<unsigned>(TRY(config.number("memory_limit_mib", 256, 16, 1 << 20)));
  settings.allow_outbound = TRY(config.yes_no("allow_outbound", false));
  settings.snapshot_limit_bytes =
      TRY(config.number("snapshot_limit_mib", 4096, 1, kLargestBlobBytes >> 20)) << 20;
  settings.watch = TRY(config.duration("watch", seconds(15)));
  if (settings.watch < milliseconds(100)) return config.error_at("watch", "must be at least 100ms");
  result.control_socket = TRY(config.text("control_socket", "/run/mutua/peer.sock"));
  result.machine_program = TRY(config.text("machine_program", default_machine_program().string()));
  TRY(config.finish());
  return result;
}

}  // namespace mutua::peer
