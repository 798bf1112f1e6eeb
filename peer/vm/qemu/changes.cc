#include "peer/vm/qemu/changes.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/bytes.h"

namespace mutua::vm::qemu {
namespace {

constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kChunkBytes = 256 << 10;
constexpr std::array<std::uint8_t, kPageBytes> kZeroes{};

// What is beyond the end of the file reads as zeroes.
Result<void> read_at(int file, std::uint8_t* to, std::size_t bytes, std::uint64_t offset) {
  while (bytes > 0) {
    const ssize_t got = ::pread(file, to, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error(errno, "read");
    if (got == 0) {
      std::memset(to, 0, bytes);
      return {};
    }
    to += got;
    bytes -= static_cast<std::size_t>(got);
    offset += static_cast<std::uint64_t>(got);
  }
  return {};
}

Result<void> write_at(int file, const std::uint8_t* from, std::size_t bytes, std::uint64_t offset) {
  while (bytes > 0) {
    const ssize_t put = ::pwrite(file, from, bytes, static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return errno_error(errno, "write");
    from += put;
    bytes -= static_cast<std::size_t>(put);
    offset += static_cast<std::uint64_t>(put);
  }
  return {};
}

struct Chunk {
  Bytes wanted = Bytes(kChunkBytes);
  Bytes present = Bytes(kChunkBytes);
};

Result<std::uint64_t> copy_chunk(int from, int to, std::uint64_t offset, std::size_t bytes,
                                 Chunk& chunk) {
  std::uint64_t fresh = 0;
  TRY(read_at(from, chunk.wanted.data(), bytes, offset));
  TRY(read_at(to, chunk.present.data(), bytes, offset));
  const auto differs = [&chunk](std::size_t at, std::size_t size) {
    return std::memcmp(chunk.wanted.data() + at, chunk.present.data() + at, size) != 0;
  };
  for (std::size_t at = 0; at < bytes; at += kPageBytes) {
    const std::size_t size = std::min(kPageBytes, bytes - at);
    if (!differs(at, size)) continue;
    if (std::memcmp(chunk.present.data() + at, kZeroes.data(), size) == 0) ++fresh;
    TRY(write_at(to, chunk.wanted.data() + at, size, offset + at));
  }
  return fresh;
}

}  // namespace

Result<std::uint64_t> copy_changes(int from, int to, std::uint64_t bytes) {
  Chunk chunk;
  std::uint64_t fresh = 0;
  for (std::uint64_t offset = 0; offset < bytes;) {
    const off_t data = ::lseek(from, static_cast<off_t>(offset), SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;  // a hole up to the end
    if (data < 0) return errno_error(errno, "look for data");
    const off_t hole = ::lseek(from, data, SEEK_HOLE);
    if (hole < 0) return errno_error(errno, "look for a hole");
    const std::uint64_t end = std::min(static_cast<std::uint64_t>(hole), bytes);
    offset = static_cast<std::uint64_t>(data) / kPageBytes * kPageBytes;
    while (offset < end) {
      const auto size =
          static_cast<std::size_t>(std::min<std::uint64_t>(kChunkBytes, end - offset));
      fresh += TRY(copy_chunk(from, to, offset, size, chunk));
      offset += size;
    }
  }
  return fresh;
}

}  // namespace mutua::vm::qemu
