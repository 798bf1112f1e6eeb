// Any octets as the beginning of a snapshot's memory file: what is accepted adds up. The first
// eight are the size that the file claims to have; the checksum is put right, lest nothing else
// is ever reached.
#include <cstring>

#include "base/assert.h"
#include "peer/vm/uml/snapshot_file.h"

namespace {

std::uint64_t checksum(mutua::BytesView header, mutua::BytesView runs) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const mutua::BytesView part : {header, runs}) {
    for (std::size_t i = 0; i + 8 <= part.size(); i += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, part.data() + i, sizeof word);
      hash = (hash ^ word) * 0x100000001b3u;
      hash ^= hash >> 29;
    }
  }
  return hash;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mutua;
  using namespace mutua::vm::uml;
  std::uint64_t file_bytes = 0;
  if (size < sizeof file_bytes) return 0;
  std::memcpy(&file_bytes, data, sizeof file_bytes);
  Bytes beginning(data + sizeof file_bytes, data + size);
  const auto header = parse_snapshot_header(beginning, file_bytes);
  if (!header.ok()) {
    BASE_ASSERT(!parse_snapshot_map(beginning, file_bytes).ok());
    return 0;
  }
  BASE_ASSERT(header->contents < header->file_bytes && header->file_bytes == file_bytes);
  const std::uint64_t table_bytes = header->run_count * 16;
  if (beginning.size() < kSnapshotPageBytes + table_bytes) return 0;
  const std::uint64_t sum = checksum(BytesView(beginning).first(kSnapshotPageBytes - 8),
                                     BytesView(beginning).subspan(kSnapshotPageBytes, table_bytes));
  std::memcpy(beginning.data() + kSnapshotPageBytes - 8, &sum, sizeof sum);
  const auto map = parse_snapshot_map(beginning, file_bytes);
  if (!map.ok()) return 0;
  BASE_ASSERT(map->runs.size() == header->run_count);
  std::uint64_t pages = 0, next = header->data_start;
  for (const SnapshotRun& run : map->runs) {
    BASE_ASSERT(run.address >= next && run.pages > 0);
    next = run.address + run.pages * kSnapshotPageBytes;
    BASE_ASSERT(next <= header->memory_end);
    pages += run.pages;
  }
  BASE_ASSERT(pages == header->page_count);
  return 0;
}
