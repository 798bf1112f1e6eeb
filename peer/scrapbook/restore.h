#pragma once

#include <filesystem>
#include <stop_token>

#include "base/result.h"
#include "peer/layers/blob_store.h"
#include "peer/snapshot/snapshot_layers.h"

namespace mutua::peer {

// From layers, all of them in the store, back to the files of a machine.

// The private disk of a machine: a COW file above the base blob that holds the disk delta. It
// appears at `path`, which must not exist, as one step, when it is whole.
Result<void> restore_disk(const BlobStore& store, const SnapshotLayers& layers,
                          const std::filesystem::path& path);

// The machine's memory, a blob of the store; expands the layers that it takes, each checked by its
// digest before it counts. `layers.memory` must not be empty.
Result<std::filesystem::path> restore_memory(const BlobStore& store, const SnapshotLayers& layers,
                                             std::stop_token stop = {});

}  // namespace mutua::peer
