#pragma once

#include <filesystem>

#include "base/result.h"
#include "peer/supervisor/supervisor.h"

namespace mutua::peer {

// mutua-peer's configuration file; the keys are described in mutua-peer.8.
struct PeerConfig {
  SupervisorSettings supervisor;
  std::filesystem::path control_socket;
  std::filesystem::path machine_program;
};

// Errors name the file, the line and the key.
Result<PeerConfig> load_config(const std::filesystem::path& path);

}  // namespace mutua::peer
