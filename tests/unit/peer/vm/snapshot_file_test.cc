#include "peer/vm/uml/snapshot_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <functional>

namespace mutua::vm::uml {
namespace {

constexpr std::uint64_t kStart = 0x60000000;

void put(Bytes& bytes, std::size_t at, std::uint64_t value, std::size_t size = 8) {
  for (std::size_t i = 0; i < size; ++i) {
    bytes[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
  }
}

std::uint64_t get(const Bytes& bytes, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t i = 8; i-- > 0;) value = value << 8 | bytes[at + i];
  return value;
}

void put_text(Bytes& bytes, std::size_t at, std::string_view text) {
  std::memcpy(bytes.data() + at, text.data(), text.size());
}

// What the kernel computes, over what the header says it covers.
void seal(Bytes& file) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  const auto add = [&](std::size_t from, std::size_t to) {
    for (; from < to; from += 8) {
      hash = (hash ^ get(file, from)) * 0x100000001b3u;
      hash ^= hash >> 29;
    }
  };
  add(0, 4088);
  add(4096, std::min<std::size_t>(file.size(), 4096 + get(file, 32) * 16));
  put(file, 4088, hash);
}

// A machine of 1 MiB with three runs, one in each region, six pages in all. Every page is full of
// its number in the file.
Bytes sample() {
  Bytes file(8192 + 6 * 4096);
  put_text(file, 0, "UMLSNAP\n");
  put(file, 8, 1, 4);
  put(file, 12, 4096, 4);
  put(file, 16, file.size());
  put(file, 24, 8192);
  put(file, 32, 3);
  put(file, 40, 6);
  for (std::size_t i = 0; i < 20; ++i) file[48 + i] = static_cast<std::uint8_t>(i);
  const std::uint64_t edges[] = {0x10000, 0x20000, 0x21000, 0x30000, 0x40000, 0, 0x100000};
  for (std::size_t i = 0; i < std::size(edges); ++i) put(file, 80 + 8 * i, kStart + edges[i]);
  put(file, 160, 1'700'000'000'000'000'000);
  put(file, 168, 4);
  put_text(file, 176, "6.12");
  put_text(file, 240, "mem=1M mutua.address=10.0.0.7/8 rw");
  const std::uint64_t runs[][2] = {{0x10000, 1}, {0x22000, 2}, {0x50000, 3}};
  for (std::size_t i = 0; i < std::size(runs); ++i) {
    put(file, 4096 + 16 * i, kStart + runs[i][0]);
    put(file, 4104 + 16 * i, runs[i][1]);
  }
  for (std::size_t page = 0; page < 6; ++page) {
    std::fill_n(file.begin() + static_cast<std::ptrdiff_t>(8192 + 4096 * page), 4096,
                static_cast<std::uint8_t>(page));
  }
  seal(file);
  return file;
}

Result<SnapshotMap> parse(const Bytes& file) { return parse_snapshot_map(file, file.size()); }

TEST(SnapshotFile, SaysWhatItNeedsAndHolds) {
  const auto map = parse(sample());
  ASSERT_TRUE(map.ok()) << map.error().message();
  EXPECT_EQ(map->header.build_id_text(), "000102030405060708090a0b0c0d0e0f10111213");
  EXPECT_EQ(map->header.memory_bytes(), 1u << 20);
  EXPECT_EQ(map->header.generation, 4u);
  EXPECT_EQ(map->header.release, "6.12");
  EXPECT_EQ(map->header.boot_argument("mutua.address"), "10.0.0.7/8");
  EXPECT_EQ(map->header.boot_argument("rw"), std::nullopt);
  EXPECT_EQ(map->runs, (std::vector<SnapshotRun>{
                           {kStart + 0x10000, 1}, {kStart + 0x22000, 2}, {kStart + 0x50000, 3}}));
}

TEST(SnapshotFile, GivesEveryPageByNumberAndAddress) {
  const std::string path = testing::TempDir() + "snapshot_file_test." + std::to_string(::getpid());
  const Bytes bytes = sample();
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  const auto file = SnapshotFile::open(path);
  ASSERT_TRUE(file.ok()) << file.error().message();
  const std::uint64_t addresses[] = {0x10000, 0x22000, 0x23000, 0x50000, 0x51000, 0x52000};
  for (std::uint64_t i = 0; i < std::size(addresses); ++i) {
    EXPECT_EQ(file->address_of(i), kStart + addresses[i]);
    EXPECT_EQ(file->index_of(kStart + addresses[i]), i);
    const auto page = file->read_page(i);
    ASSERT_TRUE(page.ok());
    EXPECT_EQ((*page)[0], i);
    EXPECT_EQ((*page)[4095], i);
  }
  for (const std::uint64_t absent : {0x0u, 0x11000u, 0x22001u, 0x24000u, 0x53000u, 0xfffff000u}) {
    EXPECT_EQ(file->index_of(kStart + absent), std::nullopt) << absent;
  }
  std::filesystem::resize_file(path, bytes.size() - 1);
  EXPECT_FALSE(file->read_page(5).ok()) << "it shrank under our hands";
  EXPECT_FALSE(SnapshotFile::open(path).ok());
  std::filesystem::remove(path);
  EXPECT_FALSE(SnapshotFile::open(path).ok());
  EXPECT_FALSE(SnapshotFile::open(testing::TempDir()).ok());
}

TEST(SnapshotFile, RefusesLiesByName) {
  constexpr std::uint64_t huge = ~0ull;
  const struct {
    const char* why;
    std::function<void(Bytes&)> damage;
  } cases[] = {
      {"magic", [](Bytes& f) { f[7] = '\r'; }},
      {"version 2", [](Bytes& f) { put(f, 8, 2, 4); }},
      {"page size", [](Bytes& f) { put(f, 12, 16384, 4); }},
      {"truncated", [](Bytes& f) { f.pop_back(); }},
      {"truncated", [](Bytes& f) { f.resize(4095); }},
      {"truncated", [](Bytes& f) { f.clear(); }},
      {"truncated", [](Bytes& f) { put(f, 16, huge); }},
      {"longer", [](Bytes& f) { f.push_back(0); }},
      {"longer", [](Bytes& f) { put(f, 16, 0); }},
      {"sizes", [](Bytes& f) { put(f, 24, 4096); }},
      {"sizes", [](Bytes& f) { put(f, 24, huge - 4095); }},
      {"counts", [](Bytes& f) { put(f, 32, 0); }},
      {"counts", [](Bytes& f) { put(f, 32, 7); }},
      {"counts", [](Bytes& f) { put(f, 32, huge); }},
      {"counts", [](Bytes& f) { put(f, 40, 0); }},
      {"counts", [](Bytes& f) { put(f, 40, 257); }},
      {"counts", [](Bytes& f) { put(f, 40, huge / 4096 + 2); }},
      {"sizes", [](Bytes& f) { put(f, 40, 7); }},
      {"within a page", [](Bytes& f) { put(f, 80, kStart + 0x10001); }},
      {"order of the addresses", [](Bytes& f) { put(f, 88, kStart + 0x22000); }},
      {"order of the addresses", [](Bytes& f) { put(f, 128, kStart); }},
      {"size of memory", [](Bytes& f) { put(f, 128, kStart + (1ull << 38) + 4096); }},
      {"size of memory", [](Bytes& f) { put(f, 112, kStart + 0x100000); }},
      {"texts", [](Bytes& f) { std::fill_n(f.begin() + 176, 64, 'x'); }},
      {"texts", [](Bytes& f) { std::fill_n(f.begin() + 240, 2048, 'x'); }},
      {"reserved", [](Bytes& f) { f[4087] = 1; }},
      {"order of the runs", [](Bytes& f) { put(f, 4112, kStart + 0x10000); }},
      {"order of the runs", [](Bytes& f) { put(f, 4128, kStart + 0x23000); }},
      {"order of the runs", [](Bytes& f) { put(f, 4112, kStart + 0x22004); }},
      {"outside", [](Bytes& f) { put(f, 4096, 0); }},
      {"outside", [](Bytes& f) { put(f, 4096, kStart + 0x20000); }},
      {"outside", [](Bytes& f) { put(f, 4128, kStart + 0x100000); }},
      {"outside", [](Bytes& f) { put(f, 4136, 0); }},
      {"outside", [](Bytes& f) { put(f, 4136, 0xb1); }},
      {"outside", [](Bytes& f) { put(f, 4136, huge); }},
      {"outside", [](Bytes& f) { put(f, 4104, 17); }},
      {"the runs' pages", [](Bytes& f) { put(f, 4136, 2); }},
      {"the runs' pages", [](Bytes& f) { put(f, 4136, 0xb0); }},
  };
  for (const auto& one : cases) {
    Bytes file = sample();
    one.damage(file);
    if (file.size() >= 8192) seal(file);
    const auto map = parse(file);
    ASSERT_FALSE(map.ok()) << one.why;
    EXPECT_NE(map.error().message().find(one.why), std::string::npos)
        << one.why << ": " << map.error().message();
  }
}

TEST(SnapshotFile, NoticesEveryFlippedBitOfItsHeaderAndTable) {
  const Bytes good = sample();
  for (std::size_t at = 0; at < 4096 + 3 * 16; ++at) {
    Bytes file = good;
    file[at] = static_cast<std::uint8_t>(file[at] ^ 1 << at % 8);
    EXPECT_FALSE(parse(file).ok()) << at;
  }
}

}  // namespace
}  // namespace mutua::vm::uml
