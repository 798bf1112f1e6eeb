#include "peer/snapshot/memory_delta.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <unordered_map>
#include <utility>
#include <vector>

namespace mutua::peer {
namespace {

constexpr std::string_view kMagic = "MUTUAMD1";
constexpr std::size_t kHeaderBytes = 120;
constexpr std::size_t kRunBytes = 9;
constexpr std::uint32_t kPagesAtOnce = 64;
// Small deltas travel often and are worth the time; a base's memory is made once, and is large.
constexpr int kThoroughLevel = 19, kQuickLevel = 12;
constexpr std::uint32_t kThoroughPages = 2048;
constexpr std::uint32_t kMostPrefixPages = kLargestPrefixBytes / kMemoryPageBytes;

enum class Kind : std::uint8_t { as_parent, as_disk, own };

struct Run {
  Kind kind = Kind::own;
  std::uint32_t pages = 0;
  std::uint32_t first = 0;
};

class MappedPages {
 public:
  static Result<MappedPages> map(const PageFile& file) {
    MappedPages mapped;
    mapped.pages_ = file.pages;
    if (file.pages == 0) return mapped;
    void* start = ::mmap(nullptr, mapped.bytes(), PROT_READ, MAP_PRIVATE, file.fd, 0);
    if (start == MAP_FAILED) return errno_error(errno, "map a memory file");
    mapped.start_ = static_cast<const std::uint8_t*>(start);
    return mapped;
  }
  MappedPages(MappedPages&& other) noexcept
      : start_(std::exchange(other.start_, nullptr)), pages_(other.pages_) {}
  MappedPages& operator=(MappedPages&&) = delete;
  ~MappedPages() {
    if (start_) ::munmap(const_cast<std::uint8_t*>(start_), bytes());
  }

  std::uint32_t count() const { return pages_; }
  const std::uint8_t* page(std::uint32_t index) const {
    return start_ + std::size_t{index} * kMemoryPageBytes;
  }

 private:
  MappedPages() = default;
  std::size_t bytes() const { return std::size_t{pages_} * kMemoryPageBytes; }
  const std::uint8_t* start_ = nullptr;
  std::uint32_t pages_ = 0;
};

std::size_t hash_of(const std::uint8_t* page) {
  return std::hash<std::string_view>{}(as_text({page, kMemoryPageBytes}));
}

bool same(const std::uint8_t* left, const std::uint8_t* right) {
  return std::memcmp(left, right, kMemoryPageBytes) == 0;
}

// Finds where else a page's content lies.
class Places {
 public:
  Places(const MappedPages& parent, const MappedPages& disk) : parent_(parent), disk_(disk) {
    // The disk comes last: of equal pages, its block is the better source, since it stays where
    // it is from one snapshot to the next.
    for (std::uint32_t i = 0; i < parent.count(); ++i) {
      places_[hash_of(parent.page(i))] = {Kind::as_parent, 1, i};
    }
    for (std::uint32_t i = 0; i < disk.count(); ++i) {
      places_[hash_of(disk.page(i))] = {Kind::as_disk, 1, i};
    }
  }

  std::optional<Run> find(const std::uint8_t* page) const {
    const auto found = places_.find(hash_of(page));
    if (found == places_.end()) return std::nullopt;
    const Run& place = found->second;
    const MappedPages& source = place.kind == Kind::as_disk ? disk_ : parent_;
    // A collision is not worth a second look.
    if (!same(page, source.page(place.first))) return std::nullopt;
    return place;
  }

 private:
  const MappedPages& parent_;
  const MappedPages& disk_;
  std::unordered_map<std::size_t, Run> places_;
};

bool continues(const Run& run, const Run& next) {
  if (run.kind != next.kind) return false;
  return run.kind == Kind::own || run.first + run.pages == next.first;
}

std::vector<Run> compare(const MappedPages& memory, const MappedPages& parent,
                         const MappedPages& disk, const Counterpart& counterpart) {
  const Places places(parent, disk);
  std::vector<Run> runs;
  for (std::uint32_t i = 0; i < memory.count(); ++i) {
    const std::uint8_t* page = memory.page(i);
    Run next{Kind::own, 1, 0};
    const std::optional<std::uint32_t> former = parent.count() > 0 ? counterpart(i) : std::nullopt;
    const bool has_former = former && *former < parent.count();
    if (has_former && same(page, parent.page(*former))) {
      next = {Kind::as_parent, 1, *former};
    } else if (const auto place = places.find(page)) {
      next = *place;
    }
    if (!runs.empty() && continues(runs.back(), next)) {
      ++runs.back().pages;
    } else {
      runs.push_back(next);
    }
  }
  return runs;
}

MemoryDeltaSize size_of(const std::vector<Run>& runs) {
  MemoryDeltaSize size;
  for (const Run& run : runs) {
    switch (run.kind) {
      case Kind::as_parent:
        size.as_parent += run.pages;
        break;
      case Kind::as_disk:
        size.as_disk += run.pages;
        break;
      case Kind::own:
        size.own += run.pages;
        break;
    }
  }
  return size;
}

Bytes print_header(const PageFile& memory, const std::optional<PageFile>& parent,
                   const PageFile& base_disk) {
  Bytes header = to_bytes(kMagic);
  append_u32(header, kMemoryPageBytes);
  append_u32(header, memory.pages);
  append_u32(header, parent ? parent->pages : 0);
  append_u32(header, base_disk.pages);
  append(header, (parent ? parent->digest : trust::Digest()).octets());
  append(header, base_disk.digest.octets());
  append(header, memory.digest.octets());
  return header;
}

// Ascending; of the parent's pages.
std::vector<std::uint32_t> prefix_pages(const std::vector<Run>& runs, std::uint32_t parent_pages) {
  std::vector<bool> mentioned(parent_pages);
  for (const Run& run : runs) {
    if (run.kind != Kind::as_parent) continue;
    std::fill_n(mentioned.begin() + run.first, run.pages, true);
  }
  std::vector<std::uint32_t> pages;
  for (std::uint32_t i = 0; i < parent_pages && pages.size() < kMostPrefixPages; ++i) {
    if (!mentioned[i]) pages.push_back(i);
  }
  return pages;
}

Result<void> read_pages(const PageFile& file, std::uint32_t first, std::span<std::uint8_t> into) {
  auto offset = static_cast<off_t>(first) * static_cast<off_t>(kMemoryPageBytes);
  while (!into.empty()) {
    const ssize_t count = ::pread(file.fd, into.data(), into.size(), offset);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return errno_error(count < 0 ? errno : EIO, "read a memory layer's source");
    into = into.subspan(static_cast<std::size_t>(count));
    offset += count;
  }
  return {};
}

Result<void> check_header(BytesView header, const std::optional<PageFile>& parent,
                          const PageFile& base_disk, const trust::Digest& digest,
                          std::uint64_t bytes) {
  const auto digest_at = [&](std::size_t offset) { return header.subspan(offset, 32); };
  if (as_text(header.first(kMagic.size())) != kMagic) return Error("memory layer: no magic");
  if (load_u32(&header[8]) != kMemoryPageBytes) return Error("memory layer: another page size");
  if (std::uint64_t{load_u32(&header[12])} * kMemoryPageBytes != bytes ||
      !std::ranges::equal(digest_at(88), digest.octets())) {
    return Error("memory layer: it is not of " + digest.to_text());
  }
  const trust::Digest wanted = parent ? parent->digest : trust::Digest();
  if (load_u32(&header[16]) != (parent ? parent->pages : 0) ||
      !std::ranges::equal(digest_at(24), wanted.octets())) {
    return Error("memory layer: it stands on another memory" +
                 (parent ? " than " + wanted.to_text() : ""));
  }
  if (load_u32(&header[20]) != base_disk.pages ||
      !std::ranges::equal(digest_at(56), base_disk.digest.octets())) {
    return Error("memory layer: it stands on another disk than " + base_disk.digest.to_text());
  }
  return {};
}

Result<Run> parse_run(BytesView bytes, std::uint32_t pages_left, std::uint32_t parent_pages,
                      std::uint32_t disk_blocks) {
  if (bytes[0] > static_cast<std::uint8_t>(Kind::own)) {
    return Error("memory layer: a run of unknown kind");
  }
  const Run run{static_cast<Kind>(bytes[0]), load_u32(&bytes[1]), load_u32(&bytes[5])};
  if (run.pages == 0 || run.pages > pages_left) return Error("memory layer: a run of bad length");
  if (run.kind == Kind::own) {
    if (run.first != 0) return Error("memory layer: content with a source");
    return run;
  }
  const std::uint64_t limit = run.kind == Kind::as_disk ? disk_blocks : parent_pages;
  if (std::uint64_t{run.first} + run.pages > limit) {
    return Error("memory layer: a run beyond its source");
  }
  return run;
}

Result<std::vector<Run>> read_runs(FrameReader& frame, std::uint32_t pages,
                                   std::uint32_t parent_pages, std::uint32_t disk_blocks) {
  std::vector<Run> runs;
  while (pages > 0) {
    std::array<std::uint8_t, kRunBytes> drawn{};
    TRY(frame.read(drawn));
    runs.push_back(TRY(parse_run(drawn, pages, parent_pages, disk_blocks)));
    pages -= runs.back().pages;
  }
  return runs;
}

}  // namespace

Result<MemoryDeltaSize> write_memory_delta(const PageFile& memory,
                                           const std::optional<PageFile>& parent,
                                           const PageFile& base_disk,
                                           const Counterpart& counterpart,
                                           const std::filesystem::path& output) {
  const MappedPages pages = TRY(MappedPages::map(memory));
  const MappedPages former = TRY(MappedPages::map(parent.value_or(PageFile{})));
  const MappedPages disk = TRY(MappedPages::map(base_disk));
  const std::vector<Run> runs = compare(pages, former, disk, counterpart);
  const MemoryDeltaSize size = size_of(runs);
  Bytes prefix;
  for (const std::uint32_t page : prefix_pages(runs, former.count())) {
    append(prefix, {former.page(page), kMemoryPageBytes});
  }
  const int level = size.own <= kThoroughPages ? kThoroughLevel : kQuickLevel;
  FrameWriter file = TRY(FrameWriter::create(output, level));
  TRY(file.write(print_header(memory, parent, base_disk)));
  for (const Run& run : runs) {
    Bytes drawn;
    append_u8(drawn, static_cast<std::uint8_t>(run.kind));
    append_u32(drawn, run.pages);
    append_u32(drawn, run.first);
    TRY(file.write(drawn));
  }
  TRY(file.next_frame(prefix, std::uint64_t{size.own} * kMemoryPageBytes));
  std::uint32_t at = 0;
  for (const Run& run : runs) {
    if (run.kind == Kind::own) {
      TRY(file.write({pages.page(at), std::size_t{run.pages} * kMemoryPageBytes}));
    }
    at += run.pages;
  }
  TRY(file.finish());
  return size;
}

Result<void> read_memory_delta(const FrameSource& source, const std::optional<PageFile>& parent,
                               const PageFile& base_disk, const trust::Digest& digest,
                               std::uint64_t bytes, const MemoryPiece& on_pages) {
  FrameReader frame(source, "memory layer");
  std::array<std::uint8_t, kHeaderBytes> header{};
  TRY(frame.read(header));
  TRY(check_header(header, parent, base_disk, digest, bytes));
  const std::uint32_t parent_pages = parent ? parent->pages : 0;
  const std::vector<Run> runs = TRY(read_runs(
      frame, static_cast<std::uint32_t>(bytes / kMemoryPageBytes), parent_pages, base_disk.pages));
  Bytes prefix;
  for (const std::uint32_t page : prefix_pages(runs, parent_pages)) {
    prefix.resize(prefix.size() + kMemoryPageBytes);
    TRY(read_pages(*parent, page, std::span(prefix).last(kMemoryPageBytes)));
  }
  TRY(frame.next_frame(prefix));
  Bytes content(kPagesAtOnce * kMemoryPageBytes);
  for (Run run : runs) {
    while (run.pages > 0) {
      const std::uint32_t count = std::min(run.pages, kPagesAtOnce);
      const std::span<std::uint8_t> piece(content.data(), count * kMemoryPageBytes);
      if (run.kind == Kind::as_parent) TRY(read_pages(*parent, run.first, piece));
      if (run.kind == Kind::as_disk) TRY(read_pages(base_disk, run.first, piece));
      if (run.kind == Kind::own) TRY(frame.read(piece));
      TRY(on_pages(piece));
      run.pages -= count;
      run.first += count;
    }
  }
  return frame.expect_end();
}

}  // namespace mutua::peer
