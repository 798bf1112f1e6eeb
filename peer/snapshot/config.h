#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace mutua::peer {

constexpr std::size_t kLargestSnapshotConfigBytes = 64 * 1024;

enum class Transport { tcp, udp };

// A port that a service listens at: "80/tcp".
struct ServicePort {
  std::uint16_t number = 0;
  Transport transport = Transport::tcp;

  static Result<ServicePort> parse(std::string_view text);
  std::string to_text() const;
  auto operator<=>(const ServicePort&) const = default;
};

// What a peer needs to know to run a snapshot, beside its layers: the manifest's config blob.
struct SnapshotConfig {
  std::string service;  // a name in lower case, without the final dot
  std::string engine = "uml";
  unsigned memory_mib = 64;
  std::string address;  // of the running machine, an IPv4 literal; empty where it boots
  // Replicas tell themselves apart: each has a machine-id and a hostname of its own.
  bool own_identity = false;
  bool outbound = false;           // the service asks for outbound connections
  std::vector<ServicePort> ports;  // at least one, at most 16
  std::vector<std::string> bases;  // labels of the trusted bases that it stands on
  std::string created;             // RFC 3339
  std::vector<std::string>
      checks;  // hints for whoever wants to check a replica: "http:/;status=200"

  bool operator==(const SnapshotConfig&) const = default;
};

Result<SnapshotConfig> parse_snapshot_config(BytesView json);
Bytes print_snapshot_config(const SnapshotConfig& config);

}  // namespace mutua::peer
