#include "peer/snapshot/memory_delta.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <zstd.h>

#include <random>

#include "base/durable_file.h"
#include "base/unique_fd.h"
#include "support/temporary_folder.h"

namespace mutua::peer {
namespace {

using ::testing::HasSubstr;

Bytes page_of(unsigned seed) {
  std::mt19937 random(seed);
  Bytes page(kMemoryPageBytes);
  for (auto& byte : page) byte = static_cast<std::uint8_t>(random());
  return page;
}

Bytes pages_of(const std::vector<unsigned>& seeds) {
  Bytes all;
  for (const unsigned seed : seeds) append(all, page_of(seed));
  return all;
}

class MemoryDelta : public ::testing::Test {
 protected:
  struct File {
    UniqueFd fd;
    PageFile pages;
  };

  File file(const std::string& name, BytesView content) {
    write_file_durably(folder_ / name, content).value();
    File file{UniqueFd(::open((folder_ / name).c_str(), O_RDONLY | O_CLOEXEC)), {}};
    file.pages = {file.fd.get(), static_cast<std::uint32_t>(content.size() / kMemoryPageBytes),
                  trust::sha256(content)};
    return file;
  }

  // Writes memory_ above parent_ and disk_; page i's counterpart is parent's page i.
  MemoryDeltaSize write() {
    return write_memory_delta(
               memory_.pages, parent_.pages, disk_.pages,
               [](std::uint32_t page) { return std::optional(page); }, folder_ / "delta")
        .value();
  }
  Bytes delta() const { return read_file(folder_ / "delta", 1 << 20).value(); }

  Result<Bytes> read(BytesView compressed, const std::optional<PageFile>& parent) const {
    Bytes out;
    const auto done =
        read_memory_delta(frame_from_memory(compressed), parent, disk_.pages, memory_.pages.digest,
                          content_.size(), [&](BytesView pages) -> Result<void> {
                            append(out, pages);
                            return {};
                          });
    if (!done.ok()) return done.error();
    return out;
  }
  Result<Bytes> read(BytesView compressed) const { return read(compressed, parent_.pages); }

  void make_sample() {
    parent_ = file("parent", pages_of({1, 2, 3, 4}));
    disk_ = file("disk", pages_of({10, 11, 12}));
    Bytes changed = page_of(3);
    changed[100] ^= 0xff;
    content_ = pages_of({1, 4});                   // as it was; moved
    append(content_, changed);                     // a difference
    append(content_, pages_of({11, 12, 99, 98}));  // the disk's; new
    memory_ = file("memory", content_);
  }

  test::TemporaryFolder folder_;
  File parent_, disk_, memory_;
  Bytes content_;
};

Bytes compress(BytesView plain) {
  Bytes out(ZSTD_compressBound(plain.size()));
  out.resize(ZSTD_compress(out.data(), out.size(), plain.data(), plain.size(), 1));
  return out;
}

// The layer's first frame, plain, and the rest as it is.
struct Taken {
  Bytes plain, rest;
};
Taken take_apart(BytesView layer) {
  const std::size_t size = ZSTD_findFrameCompressedSize(layer.data(), layer.size());
  Taken taken{Bytes(1 << 20), to_bytes(layer.subspan(size))};
  taken.plain.resize(ZSTD_decompress(taken.plain.data(), taken.plain.size(), layer.data(), size));
  return taken;
}

TEST_F(MemoryDelta, TellsEachPageTheShortestWayAndGivesItBack) {
  make_sample();
  const MemoryDeltaSize size = write();
  EXPECT_EQ(size.as_parent, 2U);
  EXPECT_EQ(size.as_disk, 2U);
  EXPECT_EQ(size.own, 3U);
  EXPECT_EQ(read(delta()).value(), content_);
  EXPECT_LT(delta().size(), 2 * kMemoryPageBytes + 400) << "the two new pages and little else";
}

TEST_F(MemoryDelta, ABaseHasNoParent) {
  make_sample();
  write_memory_delta(memory_.pages, std::nullopt, disk_.pages, nullptr, folder_ / "delta").value();
  EXPECT_EQ(read(delta(), std::nullopt).value(), content_);
  EXPECT_THAT(read(delta()).error().message(), HasSubstr("another memory"));
}

TEST_F(MemoryDelta, StandsOnItsOwnParentAndDiskAlone) {
  make_sample();
  write();
  const File other = file("other", pages_of({1, 2, 3, 5}));
  EXPECT_THAT(read(delta(), other.pages).error().message(), HasSubstr("another memory"));
  disk_ = file("otherdisk", pages_of({10, 11, 13}));
  EXPECT_THAT(read(delta()).error().message(), HasSubstr("another disk"));
}

TEST_F(MemoryDelta, WhatIsDrawnOtherwiseIsRefused) {
  make_sample();
  write();
  const auto [plain, rest] = take_apart(delta());
  const auto read_changed = [&, &rest = rest](BytesView runs) {
    Bytes layer = compress(runs);
    append(layer, rest);
    return read(layer);
  };
  // The first run: one page of the parent, its first.
  const auto refused = [&, &plain = plain](std::size_t at, std::uint32_t value) {
    Bytes changed = plain;
    store_u32(&changed[at], value);
    return read_changed(changed).error().message();
  };
  EXPECT_THAT(refused(0, 0), HasSubstr("no magic"));
  EXPECT_THAT(refused(8, 512), HasSubstr("another page size"));
  EXPECT_THAT(refused(12, 8), HasSubstr("it is not of"));
  EXPECT_THAT(refused(88, 7), HasSubstr("it is not of"));
  EXPECT_THAT(refused(121, 0), HasSubstr("bad length"));
  EXPECT_THAT(refused(121, 8), HasSubstr("bad length"));
  EXPECT_THAT(refused(121, 0xffffffff), HasSubstr("bad length"));
  EXPECT_THAT(refused(125, 4), HasSubstr("beyond its source"));
  EXPECT_THAT(refused(125, 0xffffffff), HasSubstr("beyond its source"));
  Bytes changed = plain;
  changed[120] = 3;
  EXPECT_THAT(read_changed(changed).error().message(), HasSubstr("unknown kind"));
  changed = plain;
  changed.push_back(0);
  EXPECT_THAT(read_changed(changed).error().message(), HasSubstr("trailing"));
  Bytes longer = delta();
  longer.push_back(0);
  EXPECT_THAT(read(longer).error().message(), HasSubstr("trailing"));
}

TEST_F(MemoryDelta, EveryTruncationIsRefused) {
  make_sample();
  write();
  const Bytes whole = delta();
  for (std::size_t size = 0; size < whole.size(); size += 1 + size / 16) {
    EXPECT_FALSE(read(BytesView(whole).first(size)).ok()) << size;
  }
}

}  // namespace
}  // namespace mutua::peer
