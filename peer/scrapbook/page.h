#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "peer/snapshot/config.h"
#include "peer/snapshot/snapshot_layers.h"

namespace mutua::peer {

// A page of the scrapbook: a named snapshot, or what a machine of the owner's was started from.
struct Page {
  std::string name;
  SnapshotLayers layers;
  std::string engine = "uml";
  unsigned memory_mib = 64;
  std::string address = "10.0.0.1";
  std::vector<ServicePort> ports;
  bool outbound = false;
  std::string created;  // RFC 3339
  // vm::MachineSpec::agent of the machine's first boot: a guest may know no other after a resume.
  std::string agent;

  // Of a snapshot.
  std::string machine;  // whose it is
  std::string parent;   // the snapshot that this machine was resumed from; empty: it booted
  std::uint64_t generation = 0;  // how often it had been resumed
  std::chrono::microseconds frozen{0};

  bool operator==(const Page&) const = default;
};

constexpr std::size_t kLongestPageName = 48;

// a-z, 0-9 and '-'; neither first nor last a '-'.
Result<void> check_page_name(const std::string& name);

// As an OCI manifest without a signature; the name is the file's.
Bytes print_page(const Page& page);
Result<Page> parse_page(const std::string& name, BytesView json);

}  // namespace mutua::peer
