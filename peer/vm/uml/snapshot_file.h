#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace mutua::vm::uml {

// The memory of a snapshot, as the guest's kernel writes it (kernel/patches/0104, snapshot.h). All
// numbers are little-endian; pages have 4096 bytes.
//
//   0     magic "UMLSNAP\n"                8
//   8     version, 1                       4
//   12    page size, 4096                  4
//   16    bytes of the file                8
//   24    offset of the contents           8
//   32    runs, pages                      8 each
//   48    build id of the kernel           32   padded with zeroes
//   80    start of data, start and end of the host's part of it, end of data, end of the heap,
//         start and end of guest memory    8 each
//   136   flags of the processor           16
//   152   XSAVE components in use          8
//   160   when it was taken                8    ns since 1970
//   168   generation                       8    how often it had been resumed
//   176   kernel release                   64   text, ends with a zero
//   240   kernel command line              2048
//   2288  zeroes                           1800
//   4088  checksum                         8    of the header before it and the run table
//   4096  run table                             address and pages of each run, 8 each
//   …     zeroes up to the next page, then the runs' pages one after the other
//
// The runs ascend, apart, each within [data start, host start), [host end, data end) or [heap end,
// guest memory's end). What no run mentions is zero or of no interest. The checksum finds
// accidents; against malice there are digests and signatures, outside.
inline constexpr std::size_t kSnapshotPageBytes = 4096;
inline constexpr std::size_t kSnapshotBuildIdBytes = 20;
// A fragmented memory of 4 GiB; the kernel's own bound.
inline constexpr std::uint64_t kMostSnapshotRuns = 1 << 20;

struct SnapshotHeader {
  std::uint64_t file_bytes = 0;
  std::uint64_t contents = 0;
  std::uint64_t run_count = 0;
  std::uint64_t page_count = 0;
  std::array<std::uint8_t, 32> build_id{};
  std::uint64_t data_start = 0, host_start = 0, host_end = 0, data_end = 0, heap_end = 0;
  std::uint64_t memory_start = 0, memory_end = 0;
  std::array<std::uint64_t, 2> cpu_flags{};
  std::uint64_t xfeatures = 0;
  std::chrono::nanoseconds taken{0};  // since 1970
  std::uint64_t generation = 0;
  std::string release;
  std::string command_line;

  // The machine's memory in bytes, as its spec has it.
  std::uint64_t memory_bytes() const { return memory_end - memory_start; }
  // In hex, as `linux --build-id` prints it.
  std::string build_id_text() const;
  // What the guest was booted with as "<key>=…".
  std::optional<std::string> boot_argument(const std::string& key) const;
};

struct SnapshotRun {
  std::uint64_t address = 0;
  std::uint64_t pages = 0;

  bool operator==(const SnapshotRun&) const = default;
};

struct SnapshotMap {
  SnapshotHeader header;
  std::vector<SnapshotRun> runs;
};

// Reads the first page of a file of `file_bytes`. Everything is checked that does not need the run
// table or the kernel's binary; after that `contents` bytes hold header and run table.
Result<SnapshotHeader> parse_snapshot_header(BytesView page, std::uint64_t file_bytes);

// Reads header and run table, the file's first bytes; `beginning` may hold more of it.
Result<SnapshotMap> parse_snapshot_map(BytesView beginning, std::uint64_t file_bytes);

using SnapshotPage = std::array<std::uint8_t, kSnapshotPageBytes>;

// A snapshot's memory file, open for reading. Its content is a stranger's: it may change while it
// is read, which shows as other content, never as a read outside.
class SnapshotFile {
 public:
  static Result<SnapshotFile> open(const std::filesystem::path& path);

  const SnapshotHeader& header() const { return map_.header; }
  const std::vector<SnapshotRun>& runs() const { return map_.runs; }

  // Where page `index` of the file, below page_count, was in memory.
  std::uint64_t address_of(std::uint64_t index) const;
  // Which page of the file holds `address`, a page's first; none if no run does.
  std::optional<std::uint64_t> index_of(std::uint64_t address) const;
  Result<SnapshotPage> read_page(std::uint64_t index) const;

 private:
  SnapshotFile(UniqueFd file, SnapshotMap map);

  UniqueFd file_;
  SnapshotMap map_;
  std::vector<std::uint64_t> first_pages_;  // of each run, in the file
};

}  // namespace mutua::vm::uml
