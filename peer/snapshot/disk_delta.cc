#include "peer/snapshot/disk_delta.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "base/unique_fd.h"

namespace mutua::peer {
namespace {

constexpr std::string_view kMagic = "MUTUADD1";
constexpr std::size_t kHeaderBytes = 52;
constexpr int kCompressionLevel = 12;
constexpr int kLargestWindowLog = 27;  // 128 MiB: what a stranger may make us allocate
constexpr std::uint64_t kMostBlocks = std::uint64_t{1} << 32;

struct FreeCompressor {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};
struct FreeDecompressor {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

Error zstd_error(const char* operation, std::size_t code) {
  return errorf("%s: %s", operation, ZSTD_getErrorName(code));
}

class CompressedFile {
 public:
  static Result<CompressedFile> create(const std::filesystem::path& path) {
    CompressedFile file;
    file.path_ = path;
    file.fd_.reset(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file.fd_) return errno_error(errno, "create " + path.string());
    file.context_.reset(ZSTD_createCCtx());
    ZSTD_CCtx_setParameter(file.context_.get(), ZSTD_c_compressionLevel, kCompressionLevel);
    ZSTD_CCtx_setParameter(file.context_.get(), ZSTD_c_checksumFlag, 1);
    return file;
  }

  Result<void> write(BytesView bytes) { return run(bytes, ZSTD_e_continue); }

  Result<void> finish() {
    TRY(run({}, ZSTD_e_end));
    if (::fsync(fd_.get()) != 0) return errno_error(errno, "fsync " + path_.string());
    return {};
  }

 private:
  Result<void> run(BytesView bytes, ZSTD_EndDirective directive) {
    ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
    Bytes chunk(ZSTD_CStreamOutSize());
    for (;;) {
      ZSTD_outBuffer output{chunk.data(), chunk.size(), 0};
      const std::size_t left = ZSTD_compressStream2(context_.get(), &output, &input, directive);
      if (ZSTD_isError(left)) return zstd_error("compress", left);
      TRY(write_out({chunk.data(), output.pos}));
      const bool done = directive == ZSTD_e_end ? left == 0 : input.pos == input.size;
      if (done) return {};
    }
  }

  Result<void> write_out(BytesView bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::write(fd_.get(), bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return errno_error(errno, "write " + path_.string());
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
    return {};
  }

  std::filesystem::path path_;
  UniqueFd fd_;
  std::unique_ptr<ZSTD_CCtx, FreeCompressor> context_;
};

// The decompressed octets of one zstd frame.
class FrameReader {
 public:
  explicit FrameReader(const DeltaSource& source)
      : source_(source), context_(ZSTD_createDCtx()), chunk_(ZSTD_DStreamInSize()) {
    ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kLargestWindowLog);
  }

  // Fills all of `into`, or fails.
  Result<void> read(std::span<std::uint8_t> into) {
    ZSTD_outBuffer output{into.data(), into.size(), 0};
    while (output.pos < output.size) {
      if (frame_ended_) return Error("disk delta: ends too early");
      TRY(refill());
      TRY(decompress(output));
    }
    return {};
  }

  // Succeeds where the frame, and the source, have nothing more.
  Result<void> expect_end() {
    std::uint8_t one = 0;
    ZSTD_outBuffer output{&one, 1, 0};
    while (!frame_ended_ && output.pos == 0) {
      TRY(refill());
      TRY(decompress(output));
    }
    TRY(refill());
    if (output.pos != 0 || input_.pos != input_.size) return Error("disk delta: trailing octets");
    return {};
  }

 private:
  Result<void> refill() {
    if (input_.pos < input_.size || source_ended_) return {};
    const std::size_t count = TRY(source_(chunk_));
    input_ = {chunk_.data(), count, 0};
    source_ended_ = count == 0;
    return {};
  }

  Result<void> decompress(ZSTD_outBuffer& output) {
    const std::size_t read_before = input_.pos;
    const std::size_t written_before = output.pos;
    const std::size_t hint = ZSTD_decompressStream(context_.get(), &output, &input_);
    if (ZSTD_isError(hint)) return zstd_error("disk delta", hint);
    frame_ended_ = hint == 0;
    const bool moved = input_.pos != read_before || output.pos != written_before;
    if (source_ended_ && !moved && !frame_ended_) return Error("disk delta: ends too early");
    return {};
  }

  const DeltaSource& source_;
  std::unique_ptr<ZSTD_DCtx, FreeDecompressor> context_;
  Bytes chunk_;
  ZSTD_inBuffer input_{nullptr, 0, 0};
  bool source_ended_ = false;
  bool frame_ended_ = false;
};

}  // namespace

Result<void> write_disk_delta(const std::filesystem::path& derived, const trust::Digest& base,
                              const std::vector<std::uint64_t>& blocks,
                              const std::filesystem::path& output) {
  const UniqueFd disk(::open(derived.c_str(), O_RDONLY | O_CLOEXEC));
  if (!disk) return errno_error(errno, "open " + derived.string());
  struct stat status {};
  if (::fstat(disk.get(), &status) != 0) return errno_error(errno, "stat " + derived.string());
  const auto disk_blocks = static_cast<std::uint64_t>(status.st_size) / kDeltaBlockBytes;
  if (disk_blocks >= kMostBlocks) return Error(derived.string() + " is too large");

  CompressedFile file = TRY(CompressedFile::create(output));
  Bytes piece = to_bytes(kMagic);
  append_u32(piece, kDeltaBlockBytes);
  append_u32(piece, static_cast<std::uint32_t>(disk_blocks));
  append_u32(piece, static_cast<std::uint32_t>(blocks.size()));
  append(piece, base.octets());
  TRY(file.write(piece));
  std::array<std::uint8_t, kDeltaBlockBytes> content{};
  for (const std::uint64_t block : blocks) {
    const ssize_t count = ::pread(disk.get(), content.data(), content.size(),
                                  static_cast<off_t>(block * kDeltaBlockBytes));
    if (count != static_cast<ssize_t>(content.size())) {
      return errno_error(count < 0 ? errno : EIO, "read " + derived.string());
    }
    piece.clear();
    append_u32(piece, static_cast<std::uint32_t>(block));
    append(piece, content);
    TRY(file.write(piece));
  }
  return file.finish();
}

Result<std::uint32_t> read_disk_delta(const DeltaSource& source, const trust::Digest& base,
                                      std::uint64_t disk_bytes, const DeltaBlock& on_block) {
  FrameReader frame(source);
  std::array<std::uint8_t, kHeaderBytes> header{};
  TRY(frame.read(header));
  const std::uint64_t disk_blocks = load_u32(&header[12]);
  const std::uint32_t count = load_u32(&header[16]);
  if (as_text(BytesView(header).first(kMagic.size())) != kMagic) {
    return Error("disk delta: no magic");
  }
  if (load_u32(&header[8]) != kDeltaBlockBytes) return Error("disk delta: another block size");
  if (disk_blocks * kDeltaBlockBytes != disk_bytes) return Error("disk delta: another disk size");
  if (count > disk_blocks) return Error("disk delta: more blocks than the disk has");
  if (!std::ranges::equal(BytesView(header).subspan(20), base.octets())) {
    return Error("disk delta: it stands on another base than " + base.to_text());
  }
  std::uint64_t next = 0;  // the smallest index that may come
  std::array<std::uint8_t, 4 + kDeltaBlockBytes> entry{};
  for (std::uint32_t read = 0; read < count; ++read) {
    TRY(frame.read(entry));
    const std::uint32_t index = load_u32(entry.data());
    if (index < next || index >= disk_blocks) return Error("disk delta: a block out of order");
    next = std::uint64_t{index} + 1;
    TRY(on_block(index, std::span(entry).subspan<4>()));
  }
  TRY(frame.expect_end());
  return count;
}

DeltaSource delta_from_file(int fd) {
  return [fd](std::span<std::uint8_t> into) -> Result<std::size_t> {
    for (;;) {
      const ssize_t count = ::read(fd, into.data(), into.size());
      if (count >= 0) return static_cast<std::size_t>(count);
      if (errno != EINTR) return errno_error(errno, "read disk delta");
    }
  };
}

DeltaSource delta_from_memory(BytesView bytes) {
  return [bytes](std::span<std::uint8_t> into) mutable -> Result<std::size_t> {
    const std::size_t count = std::min(into.size(), bytes.size());
    std::copy_n(bytes.begin(), count, into.begin());
    bytes = bytes.subspan(count);
    return count;
  };
}

}  // namespace mutua::peer
