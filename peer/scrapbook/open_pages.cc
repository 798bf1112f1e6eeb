#include "peer/scrapbook/open_pages.h"

namespace mutua::peer {

Result<OpenPages> open_pages(const BlobStore& store, const trust::Digest& digest) {
  OpenPages pages{TRY(store.open_blob(digest)), {}};
  pages.file = {pages.blob.fd.get(),
                static_cast<std::uint32_t>(pages.blob.size_bytes / kMemoryPageBytes), digest};
  return pages;
}

}  // namespace mutua::peer
