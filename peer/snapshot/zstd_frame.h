#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/unique_fd.h"

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

namespace mutua::peer {

constexpr std::size_t kLargestPrefixBytes = 64 << 20;

// Gives up to `into.size()` octets of a compressed file; 0 at its end.
using FrameSource = std::function<Result<std::size_t>(std::span<std::uint8_t> into)>;

// A source over a file, which must stay open; and one over memory, which must live on.
FrameSource frame_from_file(int fd);
FrameSource frame_from_memory(BytesView bytes);

// Writes zstd frames, with their checksums, one after the other to a new file.
class FrameWriter {
 public:
  // `level` as zstd counts, 1 to 19.
  static Result<FrameWriter> create(const std::filesystem::path& path, int level);

  Result<void> write(BytesView bytes);
  // Ends the frame and begins another one of `content_bytes`, which is told by `prefix`: what the
  // reader has, too. It must live until finish(), and have no more than kLargestPrefixBytes.
  Result<void> next_frame(BytesView prefix, std::uint64_t content_bytes);
  // Ends the frame and makes the file durable.
  Result<void> finish();

 private:
  struct Free {
    void operator()(ZSTD_CCtx_s* context) const;
  };
  FrameWriter() = default;
  Result<void> run(BytesView bytes, bool end);

  std::filesystem::path path_;
  UniqueFd fd_;
  std::unique_ptr<ZSTD_CCtx_s, Free> context_;
};

// The decompressed octets of such frames, as a stream: a stranger's frame takes no more memory than
// its window, 128 MiB at most.
class FrameReader {
 public:
  // `what` begins every error. The source must outlive the reader.
  FrameReader(const FrameSource& source, std::string what);

  // Fills all of `into`, or fails.
  Result<void> read(std::span<std::uint8_t> into);
  // The frame must have nothing more. The next one begins; `prefix` must live as long as it is
  // read.
  Result<void> next_frame(BytesView prefix);
  // Succeeds where the frame, and the source, have nothing more.
  Result<void> expect_end();

 private:
  struct Free {
    void operator()(ZSTD_DCtx_s* context) const;
  };
  Error ended() const { return Error(what_ + ": ends too early"); }
  Error trailing() const { return Error(what_ + ": trailing octets"); }
  Result<void> expect_frame_end();
  Result<void> refill();
  // Writes to `into` from its octet `filled` on.
  Result<void> decompress(std::span<std::uint8_t> into, std::size_t& filled);

  const FrameSource& source_;
  std::string what_;
  std::unique_ptr<ZSTD_DCtx_s, Free> context_;
  Bytes chunk_;
  std::size_t chunk_filled_ = 0, chunk_used_ = 0;
  bool source_ended_ = false;
  bool frame_ended_ = false;
};

}  // namespace mutua::peer
