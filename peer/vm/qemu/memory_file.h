#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "trust/digest.h"

namespace mutua::vm::qemu {

// The memory of a snapshot of a QEMU machine: guest memory, then what QEMU calls the migration
// stream, which holds the devices alone, then a trailer of 4096 bytes. Guest memory comes first
// because it begins where its address 0 is; pages of zeroes are holes. In the trailer, numbers are
// big-endian:
//
//   0     magic "MUTUAQM\n"            8
//   8     version, 1                   8
//   16    bytes of guest memory        8
//   24    bytes of the device state    8    zeroes up to whole pages of 4096 among them
//   32    generation                   8    how often the machine had been resumed
//   40    SHA-256 of the kernel        32
//   72    SHA-256 of the device state  32
//   104   the guest's address          16   text, padded with zeroes
//   120   the machine                  64   text, padded with zeroes: what QEMU was told to emulate
//   184   zeroes                       3880
//   4064  SHA-256 of all before it     32   of the trailer alone
//
// The digests find accidents; against malice there are digests and signatures, outside.
inline constexpr std::size_t kTrailerBytes = 4096;
inline constexpr std::uint64_t kMostStateBytes = 16 << 20;

struct MemoryTrailer {
  std::uint64_t memory_bytes = 0;
  std::uint64_t state_bytes = 0;
  std::uint64_t generation = 0;
  trust::Digest kernel, state;
  std::string address;
  std::string machine;

  std::uint64_t file_bytes() const { return memory_bytes + state_bytes + kTrailerBytes; }
};

Bytes print_trailer(const MemoryTrailer& trailer);

// Reads the last kTrailerBytes of a file of `file_bytes`: a stranger's.
Result<MemoryTrailer> parse_trailer(BytesView bytes, std::uint64_t file_bytes);

// A memory file, open for reading. Trailer and device state have been verified; what guest memory
// holds is the guest's business.
class MemoryFile {
 public:
  static Result<MemoryFile> open(const std::filesystem::path& path);

  const MemoryTrailer& trailer() const { return trailer_; }
  int fd() const { return file_.get(); }

 private:
  MemoryFile(UniqueFd file, MemoryTrailer trailer)
      : file_(std::move(file)), trailer_(std::move(trailer)) {}

  UniqueFd file_;
  MemoryTrailer trailer_;
};

// SHA-256 of `bytes` bytes from `offset` on; fewer there are an error.
Result<trust::Digest> digest_of(int file, std::uint64_t offset, std::uint64_t bytes);

}  // namespace mutua::vm::qemu
