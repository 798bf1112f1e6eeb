#include "peer/snapshot/disk_delta.h"

#include <gmock/gmock.h>
#include <zstd.h>

#include <map>

#include "base/durable_file.h"
#include "support/temporary_folder.h"

namespace mutua::peer {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kDiskBytes = 16 * kDeltaBlockBytes;

Bytes compress(BytesView plain) {
  Bytes out(ZSTD_compressBound(plain.size()));
  out.resize(ZSTD_compress(out.data(), out.size(), plain.data(), plain.size(), 3));
  return out;
}

// A delta as the header draws it, before compression.
struct Drawn {
  std::string magic = "MUTUADD1";
  std::uint32_t block_bytes = kDeltaBlockBytes;
  std::uint32_t disk_blocks = 16;
  std::uint32_t count = 2;
  trust::Digest base = trust::sha256(Bytes{1});
  std::vector<std::uint32_t> indices{3, 9};

  Bytes plain() const {
    Bytes out = to_bytes(std::string_view(magic));
    append_u32(out, block_bytes);
    append_u32(out, disk_blocks);
    append_u32(out, count);
    append(out, base.octets());
    for (const std::uint32_t index : indices) {
      append_u32(out, index);
      append(out, Bytes(kDeltaBlockBytes, static_cast<std::uint8_t>(index)));
    }
    return out;
  }
};

Result<std::map<std::uint32_t, std::uint8_t>> read(BytesView compressed) {
  std::map<std::uint32_t, std::uint8_t> blocks;
  auto count = read_disk_delta(frame_from_memory(compressed), trust::sha256(Bytes{1}), kDiskBytes,
                               [&](std::uint32_t index, auto content) -> Result<void> {
                                 blocks[index] = content[17];
                                 return {};
                               });
  if (!count.ok()) return count.error();
  return blocks;
}

TEST(DiskDelta, IsReadAsDrawn) {
  const auto blocks = read(compress(Drawn().plain())).value();
  EXPECT_EQ(blocks, (std::map<std::uint32_t, std::uint8_t>{{3, 3}, {9, 9}}));
}

TEST(DiskDelta, WhatIsWrittenIsReadBack) {
  test::TemporaryFolder folder;
  const BlockReader disk = [](std::uint64_t block, auto into) -> Result<void> {
    std::ranges::fill(into, static_cast<std::uint8_t>(10 * block));
    return {};
  };
  write_disk_delta(disk, 16, trust::sha256(Bytes{1}), {5, 15}, folder / "delta").value();
  const auto blocks = read(read_file(folder / "delta", 1 << 20).value()).value();
  EXPECT_EQ(blocks, (std::map<std::uint32_t, std::uint8_t>{{5, 50}, {15, 150}}));
}

TEST(DiskDelta, AnEmptyDeltaIsADelta) {
  Drawn drawn;
  drawn.count = 0;
  drawn.indices.clear();
  EXPECT_TRUE(read(compress(drawn.plain())).value().empty());
}

TEST(DiskDelta, WhatIsDrawnOtherwiseIsRefused) {
  const std::vector<void (*)(Drawn&)> changes{
      [](Drawn& drawn) { drawn.magic = "MUTUADD2"; },
      [](Drawn& drawn) { drawn.block_bytes = 512; },
      [](Drawn& drawn) { drawn.disk_blocks = 17; },
      [](Drawn& drawn) { drawn.disk_blocks = 0xffffffff; },
      [](Drawn& drawn) { drawn.count = 1; },  // trailing octets
      [](Drawn& drawn) { drawn.count = 3; },  // ends too early
      [](Drawn& drawn) { drawn.count = 0xffffffff; },
      [](Drawn& drawn) { drawn.base = trust::Digest(); },
      [](Drawn& drawn) {
        drawn.indices = {9, 3};
      },
      [](Drawn& drawn) {
        drawn.indices = {9, 9};
      },
      [](Drawn& drawn) {
        drawn.indices = {9, 16};
      },
      [](Drawn& drawn) {
        drawn.indices = {9, 0xffffffff};
      }};
  for (std::size_t index = 0; index < changes.size(); ++index) {
    Drawn drawn;
    changes[index](drawn);
    EXPECT_FALSE(read(compress(drawn.plain())).ok()) << index;
  }
}

TEST(DiskDelta, TruncatedAndLengthenedFramesAreRefused) {
  const Bytes whole = compress(Drawn().plain());
  for (std::size_t length = 0; length < whole.size(); length += 7) {
    EXPECT_FALSE(read(BytesView(whole).first(length)).ok()) << length;
  }
  EXPECT_FALSE(read(BytesView(whole).first(whole.size() - 1)).ok());
  Bytes longer = whole;
  longer.push_back(0);
  EXPECT_THAT(read(longer).error().message(), HasSubstr("trailing"));
  Bytes twice = whole;
  append(twice, whole);
  EXPECT_FALSE(read(twice).ok());
}

TEST(DiskDelta, ARefusingConsumerEndsTheReading) {
  const Bytes compressed = compress(Drawn().plain());
  const auto count = read_disk_delta(
      frame_from_memory(compressed), trust::sha256(Bytes{1}), kDiskBytes,
      [](std::uint32_t, auto) -> Result<void> { return Error("the disk is full"); });
  EXPECT_EQ(count.error().message(), "the disk is full");
}

}  // namespace
}  // namespace mutua::peer
