#pragma once

#include "base/result.h"
#include "peer/layers/blob_store.h"
#include "peer/snapshot/memory_delta.h"

namespace mutua::peer {

// A blob of whole pages, open for as long as this lives.
struct OpenPages {
  BlobStore::OpenBlob blob;
  PageFile file;
};

Result<OpenPages> open_pages(const BlobStore& store, const trust::Digest& digest);

}  // namespace mutua::peer
