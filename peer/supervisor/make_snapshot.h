#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "peer/audit/check.h"
#include "peer/snapshot/config.h"
#include "peer/supervisor/local_snapshot.h"
#include "trust/key.h"

namespace mutua::peer {

// What an owner wants to publish. The disk is an image of the base's size that began as its copy.
struct SnapshotFiles {
  std::filesystem::path kernel, base_disk, disk;
};

// Called with a line about each step.
using StepReport = std::function<void(const std::string&)>;

// Puts kernel, base and delta into the store, makes the manifest, signs it. `config.bases` and
// `config.created` are filled in. `work` is a folder for temporary files.
Result<LocalSnapshot> make_snapshot(const BlobStore& store, const trust::PrivateKey& key,
                                    const SnapshotFiles& files, SnapshotConfig config,
                                    const std::filesystem::path& work, const Clock& clock,
                                    const StepReport& report);

}  // namespace mutua::peer
