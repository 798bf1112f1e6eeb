#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"
#include "peer/snapshot/zstd_frame.h"
#include "trust/digest.h"

namespace mutua::peer {

// A machine's memory as a layer: a file of 4 KiB pages, told by what it shares with two others:
// its parent, the memory that the machine was resumed from, and the base disk, whose blocks lie in
// the guest's page cache. Two zstd frames; the first around (numbers are big-endian)
//
//   0     magic "MUTUAMD1"           8
//   8     page size, 4096            4
//   12    pages of the memory file   4
//   16    pages of the parent        4   0: it has none
//   20    blocks of the base disk    4
//   24    SHA-256 of the parent      32  zeroes where there is none
//   56    SHA-256 of the base disk   32
//   88    SHA-256 of the memory file 32
//   120   runs, until all pages are told:
//           kind                     1   0: the parent's pages   1: blocks of the base disk
//                                        2: content of their own
//           pages                    4   at least 1
//           first                    4   of the parent's pages or the disk's blocks; 0 for kind 2
//
// the second around the pages of kind 2 in their order. Its prefix, as zstd calls what a frame
// may refer back to, are those of the parent's pages that no run of kind 0 mentions, ascending,
// the first 16384 of them: what a page was before it changed is there.
//
// Nothing follows. It knows nothing of what the pages mean: any engine's memory will do.
constexpr std::size_t kMemoryPageBytes = 4096;

// A file of whole pages that stays open and unchanged meanwhile.
struct PageFile {
  int fd = -1;
  std::uint32_t pages = 0;
  trust::Digest digest;
};

struct MemoryDeltaSize {
  std::uint32_t as_parent = 0, as_disk = 0, own = 0;  // pages of each kind
};

// The parent's page that lay at the same address as page `page` of the memory, if there is one.
using Counterpart = std::function<std::optional<std::uint32_t>(std::uint32_t page)>;

// Writes the layer `output`, durably.
Result<MemoryDeltaSize> write_memory_delta(const PageFile& memory,
                                           const std::optional<PageFile>& parent,
                                           const PageFile& base_disk,
                                           const Counterpart& counterpart,
                                           const std::filesystem::path& output);

using MemoryPiece = std::function<Result<void>(BytesView pages)>;

// Reads a layer as a stream, in 64 MiB and what its window takes, and gives the memory file from
// its beginning to its end. Fails on all that the drawing does not allow, on other files than
// `parent` and `base_disk`, and where the layer is of another memory than `digest` of `bytes`
// octets. What the pieces amount to is for the caller to hash.
Result<void> read_memory_delta(const FrameSource& source, const std::optional<PageFile>& parent,
                               const PageFile& base_disk, const trust::Digest& digest,
                               std::uint64_t bytes, const MemoryPiece& on_pages);

}  // namespace mutua::peer
