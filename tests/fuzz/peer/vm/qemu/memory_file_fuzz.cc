// Any octets as the trailer of a QEMU machine's memory file: what is accepted adds up and prints
// as it was read. The first eight are the size that the file claims to have; the checksum is put
// right, lest nothing else is ever reached.
#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "peer/vm/qemu/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mutua;
  using namespace mutua::vm::qemu;
  std::uint64_t file_bytes = 0;
  if (size < sizeof file_bytes) return 0;
  std::memcpy(&file_bytes, data, sizeof file_bytes);
  Bytes trailer(data + sizeof file_bytes, data + size);
  if (trailer.size() == kTrailerBytes) {
    constexpr std::size_t kDigestAt = 4064;
    const auto digest = trust::sha256(BytesView(trailer).first(kDigestAt));
    std::copy(digest.octets().begin(), digest.octets().end(), trailer.begin() + kDigestAt);
  }
  const auto parsed = parse_trailer(trailer, file_bytes);
  if (!parsed.ok()) return 0;
  BASE_ASSERT(parsed->file_bytes() == file_bytes);
  BASE_ASSERT(parsed->state_bytes <= kMostStateBytes);
  BASE_ASSERT(print_trailer(*parsed) == trailer);
  return 0;
}
