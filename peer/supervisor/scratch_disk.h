#pragma once

#include <filesystem>

#include "base/result.h"
#include "peer/layers/blob_store.h"
#include "peer/supervisor/local_snapshot.h"

namespace mutua::peer {

// The private disk of a machine: a COW file above the base blob that holds the snapshot's delta,
// <folder>/<manifest's digits>.cow. One that stands already is taken as it is: a machine that is
// started again finds its own writes. Disks of other manifests in `folder` are removed. It appears
// as one step, when it is whole.
Result<std::filesystem::path> prepare_scratch_disk(const BlobStore& store,
                                                   const LocalSnapshot& snapshot,
                                                   const std::filesystem::path& folder);

// Throws the disk away: the next prepare_scratch_disk() builds it anew.
void discard_scratch_disk(const std::filesystem::path& scratch);

}  // namespace mutua::peer
