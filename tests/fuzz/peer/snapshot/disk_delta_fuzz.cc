#include <zstd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "peer/snapshot/disk_delta.h"

// The input is read as a compressed delta; and, compressed here, as the octets inside one, which a
// fuzzer would hardly reach through zstd.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mutua;
  constexpr std::uint64_t disk_blocks = 64;
  const trust::Digest base;
  const auto read = [&](BytesView bytes) {
    std::int64_t last = -1;
    std::uint32_t blocks = 0;
    const auto count = peer::read_disk_delta(peer::frame_from_memory(bytes), base,
                                             disk_blocks * peer::kDeltaBlockBytes,
                                             [&](std::uint32_t index, auto) -> Result<void> {
                                               if (index <= last || index >= disk_blocks)
                                                 std::abort();
                                               last = index;
                                               ++blocks;
                                               return {};
                                             });
    if (count.ok() && *count != blocks) std::abort();
  };
  read({data, size});
  Bytes compressed(ZSTD_compressBound(size));
  compressed.resize(ZSTD_compress(compressed.data(), compressed.size(), data, size, 1));
  read(compressed);
  return 0;
}
