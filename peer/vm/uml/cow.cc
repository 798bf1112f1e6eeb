#include "peer/vm/uml/cow.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

namespace mutua::vm::uml {
namespace {

constexpr std::uint32_t kMagic = 0x4f4f4f4d;
constexpr std::uint32_t kVersion = 3;
constexpr std::size_t kPathOffset = 32;
constexpr std::size_t kPathBytes = 4096;
constexpr std::size_t kSectorsPerBlock = kBlockBytes / kSectorBytes;
constexpr std::size_t kCompareBytes = 1 << 20;

std::uint64_t round_up(std::uint64_t value, std::uint64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

std::uint64_t load_u64(const std::uint8_t* at) {
  return static_cast<std::uint64_t>(load_u32(at)) << 32 | load_u32(at + 4);
}

Result<void> check_disk_size(std::uint64_t bytes) {
  if (bytes == 0 || bytes % kBlockBytes != 0 || bytes > kLargestDiskBytes) {
    return errorf("the disk's size %llu is not 1 to 2^24 blocks of 4096",
                  static_cast<unsigned long long>(bytes));
  }
  return {};
}

// Reads up to the end of the file; returns what there was.
Result<std::size_t> read_up_to(int file, std::span<std::uint8_t> into, std::uint64_t offset) {
  std::size_t done = 0;
  while (done < into.size()) {
    const ssize_t got =
        ::pread(file, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error(errno, "read");
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

Result<void> read_all(int file, std::span<std::uint8_t> into, std::uint64_t offset) {
  if (TRY(read_up_to(file, into, offset)) != into.size()) return errorf("the file is too short");
  return {};
}

Result<void> write_all(int file, std::span<const std::uint8_t> from, std::uint64_t offset) {
  std::size_t done = 0;
  while (done < from.size()) {
    const ssize_t put =
        ::pwrite(file, from.data() + done, from.size() - done, static_cast<off_t>(offset + done));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return errno_error(errno, "write");
    done += static_cast<std::size_t>(put);
  }
  return {};
}

struct Image {
  UniqueFd file;
  std::uint64_t bytes = 0;
  std::uint32_t mtime = 0;
};

Result<Image> open_image(const std::filesystem::path& path) {
  Image image;
  image.file.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!image.file) return errno_error(errno, "open " + path.string());
  struct stat status {};
  if (::fstat(image.file.get(), &status) != 0) return errno_error(errno, "stat " + path.string());
  if (!S_ISREG(status.st_mode)) return errorf("%s: not a regular file", path.c_str());
  image.bytes = static_cast<std::uint64_t>(status.st_size);
  image.mtime = static_cast<std::uint32_t>(status.st_mtime);
  auto size = check_disk_size(image.bytes);
  if (!size.ok()) return size.error().in(path.string());
  return image;
}

}  // namespace

std::uint64_t CowHeader::bitmap_offset() const { return round_up(kCowHeaderBytes, alignment); }

std::uint64_t CowHeader::bitmap_bytes() const { return disk_bytes / kSectorBytes / 8; }

std::uint64_t CowHeader::data_offset() const {
  return round_up(bitmap_offset() + bitmap_bytes(), alignment);
}

Result<CowHeader> parse_cow_header(BytesView bytes) {
  if (bytes.size() < kCowHeaderBytes) return errorf("COW header: truncated");
  const std::uint8_t* at = bytes.data();
  if (load_u32(at) != kMagic) return errorf("COW header: wrong magic");
  if (load_u32(at + 4) != kVersion) return errorf("COW header: version %u", load_u32(at + 4));
  if (load_u32(at + 20) != kSectorBytes) return errorf("COW header: sectors are not of 512 bytes");
  if (load_u32(at + 28) != 0) return errorf("COW header: not a bitmap");

  CowHeader header;
  header.backing_mtime = load_u32(at + 8);
  header.disk_bytes = load_u64(at + 12);
  header.alignment = load_u32(at + 24);
  auto size = check_disk_size(header.disk_bytes);
  if (!size.ok()) return size.error().in("COW header");
  if (!std::has_single_bit(header.alignment) || header.alignment < kSectorBytes ||
      header.alignment > (1u << 20)) {
    return errorf("COW header: alignment %u", header.alignment);
  }
  const std::string_view field = as_text(bytes.subspan(kPathOffset, kPathBytes));
  const auto end = field.find('\0');
  if (end == std::string_view::npos || end == 0 ||
      field.find_first_not_of('\0', end) != std::string_view::npos) {
    return errorf("COW header: malformed path of the base");
  }
  header.backing_path = field.substr(0, end);
  return header;
}

Bytes print_cow_header(const CowHeader& header) {
  BASE_ASSERT(header.backing_path.size() < kPathBytes);
  Bytes out;
  append_u32(out, kMagic);
  append_u32(out, kVersion);
  append_u32(out, header.backing_mtime);
  append_u32(out, static_cast<std::uint32_t>(header.disk_bytes >> 32));
  append_u32(out, static_cast<std::uint32_t>(header.disk_bytes));
  append_u32(out, kSectorBytes);
  append_u32(out, header.alignment);
  append_u32(out, 0);
  append(out, as_bytes(header.backing_path));
  out.resize(kCowHeaderBytes);
  return out;
}

Result<CowFile> CowFile::create(const std::filesystem::path& path,
                                const std::filesystem::path& base,
                                const std::string& backing_path) {
  if (backing_path.empty() || backing_path.size() >= kPathBytes) {
    return errorf("create %s: the base's path is empty or too long", path.c_str());
  }
  const Image image = TRY(open_image(base));
  CowHeader header;
  header.backing_path = backing_path;
  header.backing_mtime = image.mtime;
  header.disk_bytes = image.bytes;

  UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file) return errno_error(errno, "create " + path.string());
  auto written = write_all(file.get(), print_cow_header(header), 0);
  if (!written.ok()) return written.error().in(path.string());
  if (::ftruncate(file.get(), static_cast<off_t>(header.file_bytes())) != 0) {
    return errno_error(errno, "resize " + path.string());
  }
  Bytes bitmap(header.bitmap_bytes());
  return CowFile(std::move(file), std::move(header), std::move(bitmap));
}

Result<CowFile> CowFile::open(const std::filesystem::path& path) {
  UniqueFd file(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!file) return errno_error(errno, "open " + path.string());
  Bytes first(kCowHeaderBytes);
  first.resize(TRY(read_up_to(file.get(), first, 0)));
  auto header = parse_cow_header(first);
  if (!header.ok()) return header.error().in(path.string());

  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return errno_error(errno, "stat " + path.string());
  // The bitmap is allocated only after the file proved to be as large as it should be.
  if (static_cast<std::uint64_t>(status.st_size) != header->file_bytes()) {
    return errorf("%s: %lld bytes instead of %llu", path.c_str(),
                  static_cast<long long>(status.st_size),
                  static_cast<unsigned long long>(header->file_bytes()));
  }
  Bytes bitmap(header->bitmap_bytes());
  auto read = read_all(file.get(), bitmap, header->bitmap_offset());
  if (!read.ok()) return read.error().in(path.string());
  return CowFile(std::move(file), std::move(*header), std::move(bitmap));
}

bool CowFile::holds_sector(std::uint64_t sector) const {
  BASE_ASSERT(sector / 8 < bitmap_.size());
  return (bitmap_[sector / 8] >> (sector % 8) & 1) != 0;
}

// Eight sectors to a block, eight bits to a byte: one byte of the bitmap is one block.
bool CowFile::holds_block(std::uint64_t block) const {
  static_assert(kSectorsPerBlock == 8);
  BASE_ASSERT(block < bitmap_.size());
  return bitmap_[block] != 0;
}

std::vector<std::uint64_t> CowFile::held_blocks() const {
  std::vector<std::uint64_t> blocks;
  for (std::uint64_t block = 0; block < block_count(); ++block) {
    if (holds_block(block)) blocks.push_back(block);
  }
  return blocks;
}

Result<Block> CowFile::read_block(std::uint64_t block, int base) const {
  if (block >= block_count()) return errorf("read block: beyond the disk");
  Block content{};
  const std::uint64_t offset = block * kBlockBytes;
  const std::uint8_t held = bitmap_[block];
  if (held != 0xff) TRY(read_all(base, content, offset));
  for (std::size_t sector = 0; sector < kSectorsPerBlock; ++sector) {
    if ((held >> sector & 1) == 0) continue;
    const std::size_t within = sector * kSectorBytes;
    TRY(read_all(file_.get(), std::span(content).subspan(within, kSectorBytes),
                 header_.data_offset() + offset + within));
  }
  return content;
}

Result<void> CowFile::write_block(std::uint64_t block,
                                  std::span<const std::uint8_t, kBlockBytes> content) {
  if (block >= block_count()) return errorf("write block: beyond the disk");
  TRY(write_all(file_.get(), content, header_.data_offset() + block * kBlockBytes));
  bitmap_[block] = 0xff;
  return {};
}

Result<bool> CowFile::fill(int base) {
  bool lacked = false;
  for (std::uint64_t block = 0; block < block_count(); ++block) {
    if (bitmap_[block] == 0xff) continue;
    lacked = true;
    const Block content = TRY(read_block(block, base));
    if (content != Block{}) {
      TRY(write_block(block, content));
      continue;
    }
    // A hole stays one. What the bitmap does not vouch for could be anything.
    const auto offset = static_cast<off_t>(header_.data_offset() + block * kBlockBytes);
    if (::lseek(file_.get(), offset, SEEK_DATA) < offset + static_cast<off_t>(kBlockBytes)) {
      if (::fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
                      kBlockBytes) != 0) {
        return errno_error(errno, "clear a block of a COW file");
      }
    }
    bitmap_[block] = 0xff;
  }
  return lacked;
}

Result<void> CowFile::commit() {
  if (::fdatasync(file_.get()) != 0) return errno_error(errno, "sync COW sectors");
  TRY(write_all(file_.get(), bitmap_, header_.bitmap_offset()));
  if (::fdatasync(file_.get()) != 0) return errno_error(errno, "sync COW bitmap");
  return {};
}

Result<std::vector<std::uint64_t>> compare(const std::filesystem::path& base,
                                           const std::filesystem::path& derived) {
  const Image left = TRY(open_image(base));
  const Image right = TRY(open_image(derived));
  if (left.bytes != right.bytes) {
    return errorf("compare %s, %s: sizes differ", base.c_str(), derived.c_str());
  }
  std::vector<std::uint64_t> changed;
  Bytes left_bytes(kCompareBytes);
  Bytes right_bytes(kCompareBytes);
  for (std::uint64_t offset = 0; offset < left.bytes; offset += kCompareBytes) {
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(kCompareBytes, left.bytes - offset));
    TRY(read_all(left.file.get(), std::span(left_bytes).first(size), offset));
    TRY(read_all(right.file.get(), std::span(right_bytes).first(size), offset));
    for (std::size_t at = 0; at < size; at += kBlockBytes) {
      if (std::memcmp(left_bytes.data() + at, right_bytes.data() + at, kBlockBytes) != 0) {
        changed.push_back((offset + at) / kBlockBytes);
      }
    }
  }
  return changed;
}

Result<std::vector<std::uint64_t>> compare(const std::filesystem::path& base, const CowFile& cow) {
  const Image image = TRY(open_image(base));
  if (image.bytes != cow.header().disk_bytes) {
    return errorf("compare %s: the COW file is above a disk of another size", base.c_str());
  }
  std::vector<std::uint64_t> changed;
  Block original{};
  for (const std::uint64_t block : cow.held_blocks()) {
    const Block content = TRY(cow.read_block(block, image.file.get()));
    TRY(read_all(image.file.get(), original, block * kBlockBytes));
    if (content != original) changed.push_back(block);
  }
  return changed;
}

}  // namespace mutua::vm::uml
