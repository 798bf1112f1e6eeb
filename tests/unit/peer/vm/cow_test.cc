#include "peer/vm/uml/cow.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <functional>

namespace mutua::vm::uml {
namespace {

CowHeader sample_header() {
  CowHeader header;
  header.backing_path = "/base.img";
  header.backing_mtime = 1735689600;
  header.disk_bytes = 16 * kBlockBytes;
  return header;
}

Block filled_with(std::uint8_t value) {
  Block block;
  block.fill(value);
  return block;
}

class Cow : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "mutua-cow-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    base_ = folder_ / "base.img";
    Bytes content;
    for (std::uint8_t block = 0; block < 16; ++block) append(content, filled_with(block));
    write(base_, content);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  static void write(const std::filesystem::path& path, BytesView content) {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(content.data()),
               static_cast<std::streamsize>(content.size()));
  }
  static Bytes read(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  UniqueFd open_base() const { return UniqueFd(::open(base_.c_str(), O_RDONLY | O_CLOEXEC)); }

  std::filesystem::path folder_, base_;
};

TEST_F(Cow, HeaderSurvivesPrintingAndParsing) {
  const Bytes bytes = print_cow_header(sample_header());
  ASSERT_EQ(bytes.size(), kCowHeaderBytes);
  const auto header = parse_cow_header(bytes);
  ASSERT_TRUE(header.ok()) << header.error().message();
  EXPECT_EQ(header->backing_path, "/base.img");
  EXPECT_EQ(header->backing_mtime, 1735689600u);
  EXPECT_EQ(header->disk_bytes, 16 * kBlockBytes);
  EXPECT_EQ(header->alignment, 4096u);
  EXPECT_EQ(header->bitmap_offset(), 8192u);
  EXPECT_EQ(header->bitmap_bytes(), 16u);
  EXPECT_EQ(header->data_offset(), 12288u);
}

TEST_F(Cow, TruncatedHeaderIsRefusedAtEveryLength) {
  const Bytes bytes = print_cow_header(sample_header());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(parse_cow_header(BytesView(bytes).first(size)).ok()) << size;
  }
}

TEST_F(Cow, HostileHeadersAreRefused) {
  const auto set_u32 = [](std::size_t at, std::uint32_t value) {
    return [at, value](Bytes& bytes) { store_u32(bytes.data() + at, value); };
  };
  const struct {
    const char* what;
    std::function<void(Bytes&)> damage;
  } cases[] = {
      {"magic", set_u32(0, 0x4d4f4f4f)},
      {"version 1", set_u32(4, 1)},
      {"version 4", set_u32(4, 4)},
      {"no disk", set_u32(16, 0)},
      {"a disk of half a block", set_u32(16, 2048)},
      {"a disk beyond every limit", set_u32(12, 0xffffffff)},
      {"a disk just beyond the limit", set_u32(12, 17)},
      {"sectors of nothing", set_u32(20, 0)},
      {"sectors of 4096", set_u32(20, 4096)},
      {"alignment 0", set_u32(24, 0)},
      {"alignment 3000", set_u32(24, 3000)},
      {"alignment 256", set_u32(24, 256)},
      {"alignment 2 GiB", set_u32(24, 0x80000000)},
      {"another format", set_u32(28, 1)},
      {"an empty path", [](Bytes& b) { std::fill(b.begin() + 32, b.end(), 0); }},
      {"a path without an end", [](Bytes& b) { std::fill(b.begin() + 32, b.end(), 'a'); }},
      {"bytes behind the path", [](Bytes& b) { b.back() = 'x'; }},
  };
  for (const auto& one : cases) {
    Bytes bytes = print_cow_header(sample_header());
    one.damage(bytes);
    EXPECT_FALSE(parse_cow_header(bytes).ok()) << one.what;
  }
}

TEST_F(Cow, FileOfAnotherSizeThanItsHeaderSaysIsRefused) {
  const auto path = folder_ / "a.cow";
  ASSERT_TRUE(CowFile::create(path, base_).ok());
  const auto size = static_cast<off_t>(std::filesystem::file_size(path));
  for (const off_t other : {off_t{0}, off_t{100}, off_t{8192}, size - 1, size + 1}) {
    ASSERT_EQ(::truncate(path.c_str(), other), 0);
    EXPECT_FALSE(CowFile::open(path).ok()) << other;
  }
  // A header that promises 64 GiB in a file of 4 KiB costs no memory.
  CowHeader large = sample_header();
  large.disk_bytes = kLargestDiskBytes;
  write(path, print_cow_header(large));
  EXPECT_FALSE(CowFile::open(path).ok());
}

TEST_F(Cow, NewFileIsSparseAndHoldsNothing) {
  const auto path = folder_ / "a.cow";
  const auto cow = CowFile::create(path, base_);
  ASSERT_TRUE(cow.ok()) << cow.error().message();
  EXPECT_TRUE(cow->held_blocks().empty());
  EXPECT_EQ(cow->block_count(), 16u);
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_size, 12288 + 16 * 4096);
  EXPECT_LE(status.st_blocks * 512, 8192);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_FALSE(CowFile::create(path, base_).ok()) << "an existing file stays";
}

TEST_F(Cow, WrittenBlocksAreReadBackAfterReopening) {
  const auto path = folder_ / "a.cow";
  {
    auto cow = CowFile::create(path, base_);
    ASSERT_TRUE(cow.ok());
    ASSERT_TRUE(cow->write_block(3, filled_with(0xa3)).ok());
    ASSERT_TRUE(cow->write_block(15, filled_with(0xaf)).ok());
    EXPECT_FALSE(cow->write_block(16, filled_with(1)).ok());
    ASSERT_TRUE(cow->commit().ok());
  }
  const auto cow = CowFile::open(path);
  ASSERT_TRUE(cow.ok()) << cow.error().message();
  EXPECT_EQ(cow->held_blocks(), (std::vector<std::uint64_t>{3, 15}));
  const UniqueFd base = open_base();
  EXPECT_EQ(*cow->read_block(3, base.get()), filled_with(0xa3));
  EXPECT_EQ(*cow->read_block(4, base.get()), filled_with(4));
  EXPECT_EQ(*cow->read_block(15, base.get()), filled_with(0xaf));
  EXPECT_FALSE(cow->read_block(16, base.get()).ok());
}

TEST_F(Cow, UncommittedBlocksDoNotCount) {
  const auto path = folder_ / "a.cow";
  {
    auto cow = CowFile::create(path, base_);
    ASSERT_TRUE(cow.ok());
    ASSERT_TRUE(cow->write_block(3, filled_with(0xa3)).ok());
  }
  EXPECT_TRUE(CowFile::open(path)->held_blocks().empty());
}

TEST_F(Cow, SectorsOfOneBlockComeFromBothFiles) {
  const auto path = folder_ / "a.cow";
  {
    auto cow = CowFile::create(path, base_);
    ASSERT_TRUE(cow.ok());
    ASSERT_TRUE(cow->write_block(5, filled_with(0xff)).ok());
    ASSERT_TRUE(cow->commit().ok());
  }
  Bytes bytes = read(path);
  bytes[8192 + 5] = 0b00000100;  // only the third sector
  write(path, bytes);
  const auto cow = CowFile::open(path);
  ASSERT_TRUE(cow.ok());
  EXPECT_TRUE(cow->holds_sector(5 * 8 + 2));
  EXPECT_FALSE(cow->holds_sector(5 * 8 + 3));
  Block expected = filled_with(5);
  std::fill_n(expected.begin() + 2 * kSectorBytes, kSectorBytes, std::uint8_t{0xff});
  EXPECT_EQ(*cow->read_block(5, open_base().get()), expected);
}

TEST_F(Cow, ComparisonFindsTheChangedBlocksAlone) {
  const auto derived = folder_ / "derived.img";
  Bytes content = read(base_);
  content[2 * kBlockBytes] ^= 1;
  content[16 * kBlockBytes - 1] ^= 1;
  write(derived, content);
  const auto changed = compare(base_, derived);
  ASSERT_TRUE(changed.ok());
  EXPECT_EQ(*changed, (std::vector<std::uint64_t>{2, 15}));

  content.resize(content.size() - kBlockBytes);
  write(derived, content);
  EXPECT_FALSE(compare(base_, derived).ok()) << "sizes differ";
}

TEST_F(Cow, BlocksThatEqualTheBaseAreNoDifference) {
  auto cow = CowFile::create(folder_ / "a.cow", base_);
  ASSERT_TRUE(cow.ok());
  ASSERT_TRUE(cow->write_block(3, filled_with(3)).ok());
  ASSERT_TRUE(cow->write_block(4, filled_with(0xa4)).ok());
  const auto changed = compare(base_, *cow);
  ASSERT_TRUE(changed.ok());
  EXPECT_EQ(*changed, std::vector<std::uint64_t>{4});
}

TEST_F(Cow, ABaseOfBrokenBlocksIsRefused) {
  ASSERT_EQ(::truncate(base_.c_str(), 16 * 4096 - 512), 0);
  EXPECT_FALSE(CowFile::create(folder_ / "a.cow", base_).ok());
  EXPECT_FALSE(CowFile::create(folder_ / "b.cow", folder_ / "absent").ok());
}

}  // namespace
}  // namespace mutua::vm::uml
