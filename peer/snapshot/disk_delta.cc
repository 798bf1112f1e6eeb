#include "peer/snapshot/disk_delta.h"

#include <algorithm>
#include <array>

namespace mutua::peer {
namespace {

constexpr std::string_view kMagic = "MUTUADD1";
constexpr std::size_t kHeaderBytes = 52;
constexpr int kCompressionLevel = 12;
constexpr std::uint64_t kMostBlocks = std::uint64_t{1} << 32;

}  // namespace

Result<void> write_disk_delta(const BlockReader& read, std::uint64_t disk_blocks,
                              const trust::Digest& base, const std::vector<std::uint64_t>& blocks,
                              const std::filesystem::path& output) {
  if (disk_blocks >= kMostBlocks) return Error("disk delta: the disk is too large");
  FrameWriter file = TRY(FrameWriter::create(output, kCompressionLevel));
  Bytes piece = to_bytes(kMagic);
  append_u32(piece, kDeltaBlockBytes);
  append_u32(piece, static_cast<std::uint32_t>(disk_blocks));
  append_u32(piece, static_cast<std::uint32_t>(blocks.size()));
  append(piece, base.octets());
  TRY(file.write(piece));
  std::array<std::uint8_t, kDeltaBlockBytes> content{};
  for (const std::uint64_t block : blocks) {
    TRY(read(block, content));
    piece.clear();
    append_u32(piece, static_cast<std::uint32_t>(block));
    append(piece, content);
    TRY(file.write(piece));
  }
  return file.finish();
}

Result<std::uint32_t> read_disk_delta(const FrameSource& source, const trust::Digest& base,
                                      std::uint64_t disk_bytes, const DeltaBlock& on_block) {
  FrameReader frame(source, "disk delta");
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

}  // namespace mutua::peer
