#include "peer/snapshot/zstd_frame.h"

#include <fcntl.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <bit>
#include <cerrno>

namespace mutua::peer {
namespace {

constexpr int kSmallestWindowLog = 12;
constexpr int kLargestWindowLog = 27;  // 128 MiB: what a stranger may make us allocate

Error zstd_error(const std::string& operation, std::size_t code) {
  return Error(operation + ": " + ZSTD_getErrorName(code));
}

}  // namespace

FrameSource frame_from_file(int fd) {
  return [fd](std::span<std::uint8_t> into) -> Result<std::size_t> {
    for (;;) {
      const ssize_t count = ::read(fd, into.data(), into.size());
      if (count >= 0) return static_cast<std::size_t>(count);
      if (errno != EINTR) return errno_error(errno, "read a compressed layer");
    }
  };
}

FrameSource frame_from_memory(BytesView bytes) {
  return [bytes](std::span<std::uint8_t> into) mutable -> Result<std::size_t> {
    const std::size_t count = std::min(into.size(), bytes.size());
    std::copy_n(bytes.begin(), count, into.begin());
    bytes = bytes.subspan(count);
    return count;
  };
}

void FrameWriter::Free::operator()(ZSTD_CCtx_s* context) const { ZSTD_freeCCtx(context); }

Result<FrameWriter> FrameWriter::create(const std::filesystem::path& path, int level) {
  FrameWriter writer;
  writer.path_ = path;
  writer.fd_.reset(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!writer.fd_) return errno_error(errno, "create " + path.string());
  writer.context_.reset(ZSTD_createCCtx());
  ZSTD_CCtx_setParameter(writer.context_.get(), ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(writer.context_.get(), ZSTD_c_checksumFlag, 1);
  return writer;
}

Result<void> FrameWriter::write(BytesView bytes) { return run(bytes, false); }

Result<void> FrameWriter::next_frame(BytesView prefix, std::uint64_t content_bytes) {
  TRY(run({}, true));
  ZSTD_CCtx_refPrefix(context_.get(), prefix.data(), prefix.size());
  if (!prefix.empty()) {
    const auto reach = static_cast<int>(std::bit_width(prefix.size() + content_bytes));
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_windowLog,
                           std::clamp(reach, kSmallestWindowLog, kLargestWindowLog));
  }
  return {};
}

Result<void> FrameWriter::finish() {
  TRY(run({}, true));
  if (::fsync(fd_.get()) != 0) return errno_error(errno, "fsync " + path_.string());
  return {};
}

Result<void> FrameWriter::run(BytesView bytes, bool end) {
  ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
  Bytes chunk(ZSTD_CStreamOutSize());
  for (;;) {
    ZSTD_outBuffer output{chunk.data(), chunk.size(), 0};
    const std::size_t left =
        ZSTD_compressStream2(context_.get(), &output, &input, end ? ZSTD_e_end : ZSTD_e_continue);
    if (ZSTD_isError(left)) return zstd_error("compress " + path_.string(), left);
    BytesView compressed(chunk.data(), output.pos);
    while (!compressed.empty()) {
      const ssize_t count = ::write(fd_.get(), compressed.data(), compressed.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return errno_error(errno, "write " + path_.string());
      compressed = compressed.subspan(static_cast<std::size_t>(count));
    }
    if (end ? left == 0 : input.pos == input.size) return {};
  }
}

void FrameReader::Free::operator()(ZSTD_DCtx_s* context) const { ZSTD_freeDCtx(context); }

FrameReader::FrameReader(const FrameSource& source, std::string what)
    : source_(source),
      what_(std::move(what)),
      context_(ZSTD_createDCtx()),
      chunk_(ZSTD_DStreamInSize()) {
  ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kLargestWindowLog);
}

Result<void> FrameReader::read(std::span<std::uint8_t> into) {
  std::size_t filled = 0;
  while (filled < into.size()) {
    if (frame_ended_) return ended();
    TRY(refill());
    TRY(decompress(into, filled));
  }
  return {};
}

Result<void> FrameReader::expect_frame_end() {
  std::uint8_t one = 0;
  std::size_t filled = 0;
  while (!frame_ended_) {
    TRY(refill());
    TRY(decompress({&one, 1}, filled));
    if (filled != 0) return trailing();
  }
  return {};
}

Result<void> FrameReader::next_frame(BytesView prefix) {
  TRY(expect_frame_end());
  ZSTD_DCtx_refPrefix(context_.get(), prefix.data(), prefix.size());
  frame_ended_ = false;
  return {};
}

Result<void> FrameReader::expect_end() {
  TRY(expect_frame_end());
  TRY(refill());
  if (chunk_used_ != chunk_filled_) return trailing();
  return {};
}

Result<void> FrameReader::refill() {
  if (chunk_used_ < chunk_filled_ || source_ended_) return {};
  chunk_filled_ = TRY(source_(chunk_));
  chunk_used_ = 0;
  source_ended_ = chunk_filled_ == 0;
  return {};
}

Result<void> FrameReader::decompress(std::span<std::uint8_t> into, std::size_t& filled) {
  ZSTD_inBuffer input{chunk_.data(), chunk_filled_, chunk_used_};
  ZSTD_outBuffer output{into.data(), into.size(), filled};
  const std::size_t hint = ZSTD_decompressStream(context_.get(), &output, &input);
  if (ZSTD_isError(hint)) return zstd_error(what_, hint);
  frame_ended_ = hint == 0;
  const bool moved = input.pos != chunk_used_ || output.pos != filled;
  chunk_used_ = input.pos;
  filled = output.pos;
  if (source_ended_ && !moved && !frame_ended_) return ended();
  return {};
}

}  // namespace mutua::peer
