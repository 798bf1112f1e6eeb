#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace mutua::vm::uml {

// User-Mode Linux's copy-on-write disks, version 3. All numbers are big-endian.
//
//   0     magic "MOOO"            4
//   4     version, 3              4
//   8     mtime of the base       4   seconds; UML refuses a base with another one
//   12    size of the disk        8   bytes; UML refuses a base of another size
//   20    sector size             4   512
//   24    alignment               4   a power of two
//   28    format, 0               4   0: a bitmap of sectors
//   32    path of the base        4096, ends with zeroes
//   4128  zeroes up to the next multiple of the alignment
//   …     bitmap                  one bit a sector, lowest bit first; 1: this file holds it
//   …     zeroes up to the next multiple of the alignment
//   …     sectors                 at their own offset; those that the bitmap lacks are holes
inline constexpr std::size_t kSectorBytes = 512;
inline constexpr std::size_t kBlockBytes = 4096;
inline constexpr std::size_t kCowHeaderBytes = 4128;
inline constexpr std::uint64_t kLargestDiskBytes = 64ull << 30;

// Where every machine sees its base disk. UML demands the recorded path and the real one be one.
inline constexpr const char* kBackingPath = "/base.img";

struct CowHeader {
  std::string backing_path;
  std::uint32_t backing_mtime = 0;
  std::uint64_t disk_bytes = 0;
  std::uint32_t alignment = 4096;

  std::uint64_t bitmap_offset() const;
  std::uint64_t bitmap_bytes() const;
  std::uint64_t data_offset() const;
  std::uint64_t file_bytes() const { return data_offset() + disk_bytes; }
};

// Reads a header out of a stranger's bytes. Only what UML 6.12 itself writes is accepted, for
// disks of whole 4096-byte blocks up to 64 GiB.
Result<CowHeader> parse_cow_header(BytesView bytes);
Bytes print_cow_header(const CowHeader& header);

using Block = std::array<std::uint8_t, kBlockBytes>;

// One COW file, open. The bitmap is held in memory: disk size / 4096 bytes of it.
// The file must not belong to a running machine, which would not see what is written.
class CowFile {
 public:
  // Makes an empty COW file above `base`, which records `backing_path` as its base. `path` must
  // not exist. The file is sparse, readable by its owner alone.
  static Result<CowFile> create(const std::filesystem::path& path,
                                const std::filesystem::path& base,
                                const std::string& backing_path = kBackingPath);
  // Opens one that exists. Its content is not trusted.
  static Result<CowFile> open(const std::filesystem::path& path);

  const CowHeader& header() const { return header_; }
  std::uint64_t block_count() const { return header_.disk_bytes / kBlockBytes; }
  bool holds_sector(std::uint64_t sector) const;
  // True where the file holds any of the block's eight sectors.
  bool holds_block(std::uint64_t block) const;
  // All of those, ascending.
  std::vector<std::uint64_t> held_blocks() const;

  // The block as a machine would see it: sectors that the file lacks come from `base`.
  Result<Block> read_block(std::uint64_t block, int base) const;
  // Writes the whole block. It counts only after commit().
  Result<void> write_block(std::uint64_t block, std::span<const std::uint8_t, kBlockBytes> content);
  // Takes over from `base` whatever the file lacks: afterwards it holds every block, and its
  // sectors alone, at data_offset(), are the disk. True when it lacked any: commit() then.
  Result<bool> fill(int base);
  // Makes the written blocks durable, then the bitmap that names them: a crash between the two
  // leaves the older content.
  Result<void> commit();

 private:
  CowFile(UniqueFd file, CowHeader header, Bytes bitmap)
      : file_(std::move(file)), header_(std::move(header)), bitmap_(std::move(bitmap)) {}

  UniqueFd file_;
  CowHeader header_;
  Bytes bitmap_;
};

// The blocks in which two images of the same size differ, ascending: a service's delta when
// `derived` began as a copy of `base`.
Result<std::vector<std::uint64_t>> compare(const std::filesystem::path& base,
                                           const std::filesystem::path& derived);

// The same for a COW file: those of its blocks that differ from the base.
Result<std::vector<std::uint64_t>> compare(const std::filesystem::path& base, const CowFile& cow);

}  // namespace mutua::vm::uml
