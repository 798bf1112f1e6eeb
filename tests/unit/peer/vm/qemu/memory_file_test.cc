#include "peer/vm/qemu/memory_file.h"

#include <gtest/gtest.h>

#include <fstream>

namespace mutua::vm::qemu {
namespace {

MemoryTrailer make_trailer() {
  MemoryTrailer trailer;
  trailer.memory_bytes = 8192;
  trailer.state_bytes = 5;
  trailer.generation = 3;
  trailer.kernel = trust::sha256(as_bytes("kernel"));
  trailer.state = trust::sha256(as_bytes("state"));
  trailer.address = "10.0.0.1";
  trailer.machine = "pc tcg x";
  return trailer;
}

std::string make_file(const MemoryTrailer& trailer) {
  const Bytes end = print_trailer(trailer);
  return std::string(trailer.memory_bytes, 'm') + "state" + std::string(as_text(end));
}

Result<MemoryFile> open_with(const std::string& content) {
  const std::filesystem::path path = testing::TempDir() + "memory_file_test";
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
  auto file = MemoryFile::open(path);
  std::filesystem::remove(path);
  return file;
}

TEST(QemuMemoryFile, ReadsWhatItPrints) {
  const auto file = open_with(make_file(make_trailer()));
  ASSERT_TRUE(file.ok()) << file.error().message();
  EXPECT_EQ(file->trailer().memory_bytes, 8192u);
  EXPECT_EQ(file->trailer().state_bytes, 5u);
  EXPECT_EQ(file->trailer().generation, 3u);
  EXPECT_EQ(file->trailer().kernel, trust::sha256(as_bytes("kernel")));
  EXPECT_EQ(file->trailer().address, "10.0.0.1");
  EXPECT_EQ(file->trailer().machine, "pc tcg x");
}

TEST(QemuMemoryFile, RefusesEveryTruncation) {
  const std::string whole = make_file(make_trailer());
  for (std::size_t size = 0; size < whole.size(); size += 61) {
    EXPECT_FALSE(open_with(whole.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(open_with('x' + whole).ok());
  EXPECT_FALSE(open_with(whole + 'x').ok());
}

TEST(QemuMemoryFile, RefusesEveryFlippedBitBehindTheGuestsMemory) {
  const std::string whole = make_file(make_trailer());
  for (std::size_t at = 8192; at < whole.size(); at += 13) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
    EXPECT_FALSE(open_with(flipped).ok()) << at;
  }
}

TEST(QemuMemoryFile, RefusesSizesThatDoNotAddUp) {
  const auto refused = [](const MemoryTrailer& trailer, std::uint64_t file_bytes) {
    return !parse_trailer(print_trailer(trailer), file_bytes).ok();
  };
  const MemoryTrailer good = make_trailer();
  EXPECT_FALSE(refused(good, good.file_bytes()));
  EXPECT_TRUE(refused(good, good.file_bytes() + 1));
  MemoryTrailer trailer = good;
  trailer.memory_bytes = 8191;
  EXPECT_TRUE(refused(trailer, trailer.file_bytes()));
  trailer.memory_bytes = ~0ull - 4095;
  EXPECT_TRUE(refused(trailer, trailer.file_bytes()));
  trailer = good;
  trailer.state_bytes = kMostStateBytes + 1;
  EXPECT_TRUE(refused(trailer, trailer.file_bytes()));
  trailer.state_bytes = 0;
  EXPECT_TRUE(refused(trailer, trailer.file_bytes()));
}

}  // namespace
}  // namespace mutua::vm::qemu
