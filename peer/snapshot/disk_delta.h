#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "peer/snapshot/zstd_frame.h"
#include "trust/digest.h"

namespace mutua::peer {

// A disk's delta: the 4 KiB blocks in which it differs from its base. One zstd frame around
// (numbers are big-endian)
//
//   0     magic "MUTUADD1"        8
//   8     block size, 4096        4
//   12    blocks of the disk      4
//   16    blocks that follow, n   4
//   20    SHA-256 of the base     32
//   52    n times:
//           block index           4   strictly ascending, less than the blocks of the disk
//           content               4096
//
// Nothing follows. The header of 52 octets is followed by no padding: it is read as a stream.
constexpr std::size_t kDeltaBlockBytes = 4096;

using BlockReader = std::function<Result<void>(std::uint64_t block,
                                               std::span<std::uint8_t, kDeltaBlockBytes> into)>;

// Writes the delta file `output`, durably, from the `blocks` (ascending) of a disk of
// `disk_blocks`.
Result<void> write_disk_delta(const BlockReader& read, std::uint64_t disk_blocks,
                              const trust::Digest& base, const std::vector<std::uint64_t>& blocks,
                              const std::filesystem::path& output);

using DeltaBlock = std::function<Result<void>(std::uint32_t index,
                                              std::span<const std::uint8_t, kDeltaBlockBytes>)>;

// Reads a delta as a stream, in memory that does not depend on its size. Fails on anything that
// the drawing does not allow, on another base than `base` and on another size than `disk_bytes`;
// blocks handed to `on_block` before the failure are then worth nothing.
// Returns the number of blocks.
Result<std::uint32_t> read_disk_delta(const FrameSource& source, const trust::Digest& base,
                                      std::uint64_t disk_bytes, const DeltaBlock& on_block);

}  // namespace mutua::peer
