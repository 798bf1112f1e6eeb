#include "peer/vm/uml/snapshot_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "base/assert.h"
#include "base/encoding.h"

namespace mutua::vm::uml {
namespace {

constexpr std::string_view kMagic = "UMLSNAP\n";
constexpr std::uint64_t kVersion = 1;
constexpr std::size_t kReleaseAt = 176, kReleaseBytes = 64;
constexpr std::size_t kCommandLineAt = 240, kCommandLineBytes = 2048;
constexpr std::size_t kReservedAt = 2288, kChecksumAt = 4088;
constexpr std::size_t kRunBytes = 16;
constexpr std::uint64_t kMostMemoryBytes = 1ull << 38;
constexpr std::uint64_t kMostHeapBytes = 64ull << 20;

std::uint64_t load_little(const std::uint8_t* at, std::size_t bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes; i-- > 0;) value = value << 8 | at[i];
  return value;
}
std::uint64_t load_u64_little(BytesView bytes, std::size_t at) {
  return load_little(bytes.data() + at, 8);
}

bool is_whole_page(std::uint64_t value) { return value % kSnapshotPageBytes == 0; }

// No overflow: callers have bounded the value.
std::uint64_t page_up(std::uint64_t value) {
  return (value + kSnapshotPageBytes - 1) / kSnapshotPageBytes * kSnapshotPageBytes;
}

Error damaged(const char* what) { return errorf("damaged or not a snapshot: %s", what); }

// FNV-1a by words, as the kernel's.
class Checksum {
 public:
  void add(BytesView words) {
    for (std::size_t i = 0; i + 8 <= words.size(); i += 8) {
      hash_ = (hash_ ^ load_u64_little(words, i)) * 0x100000001b3u;
      hash_ ^= hash_ >> 29;
    }
  }
  std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325u;
};

Result<std::string> text_field(BytesView page, std::size_t at, std::size_t size) {
  const std::string_view field = as_text(page.subspan(at, size));
  const auto end = field.find('\0');
  if (end == std::string_view::npos) return damaged("texts");
  return std::string(field.substr(0, end));
}

Result<void> check_addresses(const SnapshotHeader& header) {
  const std::uint64_t edges[] = {header.memory_start, header.data_start, header.host_start,
                                 header.host_end,     header.data_end,   header.heap_end,
                                 header.memory_end};
  if (!std::all_of(std::begin(edges), std::end(edges), is_whole_page)) {
    return damaged("addresses within a page");
  }
  if (!std::is_sorted(std::begin(edges), std::end(edges))) {
    return damaged("the order of the addresses");
  }
  if (header.memory_end == header.heap_end || header.memory_bytes() > kMostMemoryBytes ||
      header.heap_end - header.data_end > kMostHeapBytes) {
    return damaged("the size of memory");
  }
  return {};
}

Result<void> check_sizes(const SnapshotHeader& header) {
  if (header.page_count == 0 || header.page_count > header.memory_bytes() / kSnapshotPageBytes ||
      header.run_count == 0 || header.run_count > header.page_count ||
      header.run_count > kMostSnapshotRuns) {
    return damaged("counts of pages");
  }
  if (header.contents != page_up(kSnapshotPageBytes + header.run_count * kRunBytes) ||
      header.file_bytes != header.contents + header.page_count * kSnapshotPageBytes) {
    return damaged("sizes");
  }
  return {};
}

// The end of the region that `address` lies in; 0 outside of all.
std::uint64_t region_end(const SnapshotHeader& header, std::uint64_t address) {
  const std::uint64_t regions[][2] = {{header.data_start, header.host_start},
                                      {header.host_end, header.data_end},
                                      {header.heap_end, header.memory_end}};
  for (const auto& [start, end] : regions) {
    if (address >= start && address < end) return end;
  }
  return 0;
}

Result<std::vector<SnapshotRun>> parse_runs(const SnapshotHeader& header, BytesView table) {
  std::vector<SnapshotRun> runs;
  runs.reserve(header.run_count);
  std::uint64_t next = 0, pages = 0;
  for (std::uint64_t i = 0; i < header.run_count; ++i) {
    const SnapshotRun run{load_u64_little(table, i * kRunBytes),
                          load_u64_little(table, i * kRunBytes + 8)};
    if (!is_whole_page(run.address) || run.address < next) return damaged("order of the runs");
    const std::uint64_t end = region_end(header, run.address);
    if (end == 0 || run.pages == 0 || run.pages > (end - run.address) / kSnapshotPageBytes) {
      return damaged("a run outside of memory");
    }
    next = run.address + run.pages * kSnapshotPageBytes;
    pages += run.pages;
    runs.push_back(run);
  }
  if (pages != header.page_count) return damaged("the runs' pages");
  return runs;
}

Result<Bytes> read_exactly(int file, std::uint64_t offset, std::size_t size) {
  Bytes bytes(size);
  for (std::size_t done = 0; done < size;) {
    const ssize_t got =
        ::pread(file, bytes.data() + done, size - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error(errno, "read");
    if (got == 0) return damaged("truncated");
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

}  // namespace

std::string SnapshotHeader::build_id_text() const {
  return hex_encode(BytesView(build_id).first(kSnapshotBuildIdBytes));
}

std::optional<std::string> SnapshotHeader::boot_argument(const std::string& key) const {
  const std::string wanted = key + '=';
  std::string_view rest = command_line;
  while (!rest.empty()) {
    const std::string_view word = rest.substr(0, rest.find(' '));
    if (word.starts_with(wanted)) return std::string(word.substr(wanted.size()));
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
  }
  return std::nullopt;
}

Result<SnapshotHeader> parse_snapshot_header(BytesView page, std::uint64_t file_bytes) {
  if (page.size() < kSnapshotPageBytes || file_bytes < kSnapshotPageBytes) {
    return damaged("truncated");
  }
  if (as_text(page.first(kMagic.size())) != kMagic) return damaged("no snapshot's magic number");
  if (const std::uint64_t version = load_little(page.data() + 8, 4); version != kVersion) {
    return errorf("a snapshot of version %llu, not 1", static_cast<unsigned long long>(version));
  }
  if (load_little(page.data() + 12, 4) != kSnapshotPageBytes) return damaged("page size");
  SnapshotHeader header;
  std::size_t at = 16;
  for (std::uint64_t* field :
       {&header.file_bytes, &header.contents, &header.run_count, &header.page_count}) {
    *field = load_u64_little(page, at);
    at += 8;
  }
  std::copy_n(page.begin() + 48, header.build_id.size(), header.build_id.begin());
  at = 80;
  for (std::uint64_t* field :
       {&header.data_start, &header.host_start, &header.host_end, &header.data_end,
        &header.heap_end, &header.memory_start, &header.memory_end, &header.cpu_flags[0],
        &header.cpu_flags[1], &header.xfeatures}) {
    *field = load_u64_little(page, at);
    at += 8;
  }
  header.taken = std::chrono::nanoseconds(static_cast<std::int64_t>(load_u64_little(page, 160)));
  header.generation = load_u64_little(page, 168);
  header.release = TRY(text_field(page, kReleaseAt, kReleaseBytes));
  header.command_line = TRY(text_field(page, kCommandLineAt, kCommandLineBytes));
  if (header.file_bytes != file_bytes) {
    return damaged(header.file_bytes > file_bytes ? "truncated" : "longer than it says");
  }
  TRY(check_addresses(header));
  TRY(check_sizes(header));
  const BytesView reserved = page.subspan(kReservedAt, kChecksumAt - kReservedAt);
  if (std::any_of(reserved.begin(), reserved.end(), [](std::uint8_t byte) { return byte != 0; })) {
    return damaged("reserved fields");
  }
  return header;
}

Result<SnapshotMap> parse_snapshot_map(BytesView beginning, std::uint64_t file_bytes) {
  SnapshotMap map;
  map.header = TRY(parse_snapshot_header(beginning, file_bytes));
  const std::uint64_t table_bytes = map.header.run_count * kRunBytes;
  if (beginning.size() < kSnapshotPageBytes + table_bytes) return damaged("truncated");
  const BytesView table = beginning.subspan(kSnapshotPageBytes, table_bytes);
  map.runs = TRY(parse_runs(map.header, table));
  Checksum checksum;
  checksum.add(beginning.first(kChecksumAt));
  checksum.add(table);
  if (checksum.value() != load_u64_little(beginning, kChecksumAt)) return damaged("checksum");
  return map;
}

SnapshotFile::SnapshotFile(UniqueFd file, SnapshotMap map)
    : file_(std::move(file)), map_(std::move(map)) {
  std::uint64_t pages = 0;
  for (const SnapshotRun& run : map_.runs) {
    first_pages_.push_back(pages);
    pages += run.pages;
  }
}

Result<SnapshotFile> SnapshotFile::open(const std::filesystem::path& path) {
  auto opened = [&]() -> Result<SnapshotFile> {
    UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat status {};
    if (!file || ::fstat(file.get(), &status) != 0) return errno_error(errno, "open");
    if (!S_ISREG(status.st_mode)) return errorf("not a regular file");
    const auto file_bytes = static_cast<std::uint64_t>(status.st_size);
    if (file_bytes < kSnapshotPageBytes) return damaged("truncated");
    const Bytes page = TRY(read_exactly(file.get(), 0, kSnapshotPageBytes));
    const SnapshotHeader header = TRY(parse_snapshot_header(page, file_bytes));
    const Bytes beginning = TRY(read_exactly(file.get(), 0, header.contents));
    SnapshotMap map = TRY(parse_snapshot_map(beginning, file_bytes));
    return SnapshotFile(std::move(file), std::move(map));
  }();
  if (!opened.ok()) return opened.error().in("snapshot " + path.string());
  return opened;
}

std::uint64_t SnapshotFile::address_of(std::uint64_t index) const {
  BASE_ASSERT(index < header().page_count);
  const auto after = std::upper_bound(first_pages_.begin(), first_pages_.end(), index);
  const auto run = static_cast<std::size_t>(after - first_pages_.begin()) - 1;
  return runs()[run].address + (index - first_pages_[run]) * kSnapshotPageBytes;
}

std::optional<std::uint64_t> SnapshotFile::index_of(std::uint64_t address) const {
  const auto after = std::upper_bound(
      runs().begin(), runs().end(), address,
      [](std::uint64_t left, const SnapshotRun& run) { return left < run.address; });
  if (after == runs().begin() || !is_whole_page(address)) return std::nullopt;
  const auto run = static_cast<std::size_t>(after - runs().begin()) - 1;
  const std::uint64_t page = (address - runs()[run].address) / kSnapshotPageBytes;
  if (page >= runs()[run].pages) return std::nullopt;
  return first_pages_[run] + page;
}

Result<SnapshotPage> SnapshotFile::read_page(std::uint64_t index) const {
  BASE_ASSERT(index < header().page_count);
  const Bytes bytes = TRY(read_exactly(file_.get(), header().contents + index * kSnapshotPageBytes,
                                       kSnapshotPageBytes));
  SnapshotPage page;
  std::copy_n(bytes.begin(), page.size(), page.begin());
  return page;
}

}  // namespace mutua::vm::uml
