#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "peer/layers/blob_store.h"
#include "peer/snapshot/snapshot_layers.h"

namespace mutua::peer {

// From the files of a machine to layers in the store.

// Called with a line about each step.
using StepReport = std::function<void(const std::string&)>;

// A machine that boots. `disk` is an image of the base's size that began as its copy.
struct ImageFiles {
  std::filesystem::path kernel, base_disk, disk;
};

// A running machine that was taken: vm::SnapshotReport's two files.
struct TakenFiles {
  std::string engine;
  std::filesystem::path memory, disk;
  // What the machine was made of before: its kernel and base, and the memory that it was resumed
  // from, which the new one is told by. Of a fresh boot: no memory.
  SnapshotLayers origin;
};

// A kernel and a base disk, as layers.
Result<Descriptor> store_kernel(const BlobStore& store, const std::filesystem::path& file);
Result<Descriptor> store_base_disk(const BlobStore& store, const std::filesystem::path& file);

// `work` is a folder for temporary files.
Result<SnapshotLayers> capture_image(const BlobStore& store, const ImageFiles& files,
                                     const std::filesystem::path& work, const StepReport& report);

// The memory's own content is held afterwards, too. A chain that would grow beyond
// kMostMemoryLayers starts again above its first layer.
Result<SnapshotLayers> capture_machine(const BlobStore& store, const TakenFiles& files,
                                       const std::filesystem::path& work, const StepReport& report);

// The same memory in one layer that stands on nothing.
Result<SnapshotLayers> flatten_memory(const BlobStore& store, const std::string& engine,
                                      const SnapshotLayers& layers,
                                      const std::filesystem::path& work);

// The same memory told by `parent`'s, another snapshot of the same kernel and base disk.
Result<SnapshotLayers> rebase_memory(const BlobStore& store, const std::string& engine,
                                     const SnapshotLayers& layers, const SnapshotLayers& parent,
                                     const std::filesystem::path& work);

}  // namespace mutua::peer
