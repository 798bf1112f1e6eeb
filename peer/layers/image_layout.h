#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "peer/layers/blob_store.h"
#include "trust/digest.h"

namespace mutua::peer {

// One manifest that the store holds, under the name of its service.
struct LayoutEntry {
  std::string service;
  std::string media_type;
  trust::Digest manifest;
  std::uint64_t size_bytes = 0;
};

// Writes <root>/index.json (OCI image layout), durably and as one step, so that tools such as
// `skopeo inspect oci:<root>:<service>` read the store. The daemon itself never reads it.
Result<void> write_index(const BlobStore& store, const std::vector<LayoutEntry>& entries);

}  // namespace mutua::peer
