#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "base/result.h"
#include "peer/snapshot/manifest.h"
#include "trust/digest.h"

namespace mutua::peer {

// A delta may stand on a delta; the eighth is the last.
constexpr std::size_t kMostMemoryLayers = 8;

// One step of a running machine's memory (memory_delta.h): the blob, and the file that it gives
// together with its parent's. That file is content like any other: the store keeps it by digest.
struct MemoryLayer {
  Descriptor blob;
  trust::Digest content;
  std::uint64_t content_bytes = 0;
  std::optional<trust::Digest> parent;  // the content of the layer before; none for the first

  bool operator==(const MemoryLayer&) const = default;
};

// What a machine is made of.
struct SnapshotLayers {
  Descriptor kernel, base_disk, disk_delta;
  // From the base's memory to its own. Empty where there is none: such a machine boots.
  std::vector<MemoryLayer> memory;

  // In the order in which a manifest has them.
  std::vector<Descriptor> descriptors() const;

  bool operator==(const SnapshotLayers&) const = default;
};

// A kernel, a base disk, a disk delta, and memory layers of which each stands on the one before.
Result<SnapshotLayers> read_snapshot_layers(const Manifest& manifest);

// All that a store keeps for them: the blobs, and the first and the last memory expanded.
std::set<trust::Digest> digests_of(const SnapshotLayers& layers);

// The descriptor of a memory layer's blob, with all that read_snapshot_layers() wants to know.
MemoryLayer make_memory_layer(const trust::Digest& blob, std::uint64_t blob_bytes,
                              const trust::Digest& content, std::uint64_t content_bytes,
                              const std::optional<trust::Digest>& parent);

}  // namespace mutua::peer
