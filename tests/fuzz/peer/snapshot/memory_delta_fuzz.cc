#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "peer/snapshot/memory_delta.h"

namespace {

using namespace mutua;

constexpr std::uint32_t kPages = 16;

peer::PageFile source_file() {
  const int fd = ::memfd_create("source", MFD_CLOEXEC);
  if (fd < 0 || ::ftruncate(fd, kPages * peer::kMemoryPageBytes) != 0) std::abort();
  return {fd, kPages, trust::Digest()};
}

// The header's fields that only the writer of a layer could know are put right, so that what
// follows is reached.
void mend_header(Bytes& plain) {
  constexpr std::size_t header_bytes = 120;
  if (plain.size() < header_bytes) return;
  Bytes header = to_bytes(std::string_view("MUTUAMD1"));
  for (const std::uint32_t field :
       {static_cast<std::uint32_t>(peer::kMemoryPageBytes), kPages, kPages, kPages}) {
    append_u32(header, field);
  }
  header.resize(header_bytes);
  std::copy(header.begin(), header.end(), plain.begin());
}

Bytes compress(BytesView plain) {
  Bytes compressed(ZSTD_compressBound(plain.size()));
  compressed.resize(
      ZSTD_compress(compressed.data(), compressed.size(), plain.data(), plain.size(), 1));
  return compressed;
}

}  // namespace

// The input is read as a compressed layer; and, compressed here, as the octets inside one.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const peer::PageFile parent = source_file(), disk = source_file();
  constexpr std::uint64_t bytes = std::uint64_t{kPages} * peer::kMemoryPageBytes;
  const auto read = [&](BytesView compressed) {
    std::uint64_t given = 0;
    const auto done =
        peer::read_memory_delta(peer::frame_from_memory(compressed), parent, disk, trust::Digest(),
                                bytes, [&](BytesView pages) -> Result<void> {
                                  given += pages.size();
                                  if (given > bytes) std::abort();
                                  return {};
                                });
    if (done.ok() && given != bytes) std::abort();
  };
  read({data, size});
  // At most half of it are runs, the rest is content.
  const std::size_t first = std::min<std::size_t>(size, 120 + size / 2);
  Bytes plain(data, data + first);
  mend_header(plain);
  Bytes layer = compress(plain);
  append(layer, compress({data + first, size - first}));
  read(layer);
  return 0;
}
