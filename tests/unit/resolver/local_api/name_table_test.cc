#include "resolver/local_api/name_table.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "nss_module/table_reader.h"

namespace mutua::resolver {
namespace {

using std::chrono::seconds;

// The writer, and a reader that maps what readers are handed.
class NameTableTest : public testing::Test {
 protected:
  void SetUp() override { create({wire::Name::parse("fed.example").value(), Lookaside::no, {}}); }
  void TearDown() override { unmap(); }

  void create(const NameTable::Settings& settings) {
    unmap();
    table_ = NameTable::create(settings, *loop_).value();
    void* mapped =
        mmap(nullptr, sizeof(mutua_table), PROT_READ, MAP_SHARED, table_->descriptor(), 0);
    ASSERT_NE(mapped, MAP_FAILED);
    reader_ = static_cast<const mutua_table*>(mapped);
  }
  void unmap() {
    if (reader_) munmap(const_cast<mutua_table*>(reader_), sizeof *reader_);
    reader_ = nullptr;
  }

  static std::uint64_t now() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000u +
           static_cast<std::uint64_t>(time.tv_nsec);
  }
  std::optional<Ipv4> address_of(const std::string& name, std::uint64_t at = now()) {
    mutua_local_response response{};
    if (mutua_table_by_name(reader_, name.data(), name.size(), AF_INET, at, &response) !=
            MUTUA_TABLE_ANSWERED ||
        response.status != MUTUA_LOCAL_FOUND)
      return std::nullopt;
    return Ipv4{load_u32(response.address[0])};
  }
  std::string name_of(Ipv4 address) {
    mutua_local_response response{};
    std::uint8_t octets[4];
    store_u32(octets, address.value);
    return mutua_table_by_address(reader_, octets, AF_INET, now(), &response) ==
                   MUTUA_TABLE_ANSWERED
               ? response.name
               : "";
  }

  std::unique_ptr<EventLoop> loop_ = EventLoop::create().value();
  std::unique_ptr<NameTable> table_;
  const mutua_table* reader_ = nullptr;
};

TEST_F(NameTableTest, WhatIsPublishedIsReadUntilItsTimeIsOver) {
  table_->publish("blog.fed.example", Ipv4{0x7fc80102}, seconds(60));
  EXPECT_EQ(address_of("blog.fed.example"), Ipv4{0x7fc80102});
  EXPECT_EQ(name_of(Ipv4{0x7fc80102}), "blog.fed.example");
  EXPECT_FALSE(address_of("other.fed.example"));
  table_->publish("short.fed.example", Ipv4{0x7fc80103}, seconds(2));
  EXPECT_TRUE(address_of("short.fed.example", now() + 1'000'000'000u));
  EXPECT_FALSE(address_of("short.fed.example", now() + 2'500'000'000u));
}

TEST_F(NameTableTest, AWithdrawnNameAndAnEarlierAddressAreGone) {
  table_->publish("blog.fed.example", Ipv4{0x7fc80102}, seconds(60));
  table_->publish("blog.fed.example", Ipv4{0x7fc80999}, seconds(60));
  EXPECT_EQ(address_of("blog.fed.example"), Ipv4{0x7fc80999});
  EXPECT_EQ(name_of(Ipv4{0x7fc80102}), "");
  table_->withdraw("blog.fed.example");
  table_->withdraw("never.fed.example");
  EXPECT_FALSE(address_of("blog.fed.example"));
  EXPECT_EQ(name_of(Ipv4{0x7fc80999}), "");
}

TEST_F(NameTableTest, ThousandsOfNamesFitAndNoneIsMistakenForAnother) {
  const auto name = [](std::uint32_t i) { return "s" + std::to_string(i) + ".fed.example"; };
  for (std::uint32_t i = 0; i < 20'000; ++i) {
    table_->publish(name(i), Ipv4{0x7fc00000 + i}, seconds(60));
    ASSERT_EQ(address_of(name(i)), Ipv4{0x7fc00000 + i}) << "the latest has its place";
  }
  std::size_t known = 0;
  for (std::uint32_t i = 0; i < 20'000; ++i) {
    const auto address = address_of(name(i));
    if (!address) continue;
    ++known;
    ASSERT_EQ(*address, Ipv4{0x7fc00000 + i});
    const std::string reverse = name_of(*address);
    ASSERT_TRUE(reverse.empty() || reverse == name(i));
  }
  EXPECT_EQ(known, std::size_t{MUTUA_TABLE_SLOTS});
}

TEST_F(NameTableTest, NamesOutsideTheZoneAreNobodysBusinessUnlessLookedAside) {
  mutua_local_response response{};
  const std::string other = "www.debian.org";
  EXPECT_EQ(mutua_table_by_name(reader_, other.data(), other.size(), 0, now(), &response),
            MUTUA_TABLE_ANSWERED);
  EXPECT_EQ(response.status, MUTUA_LOCAL_NOT_FOUND);
  create({wire::Name::parse("fed.example").value(), Lookaside::yes, {}});
  EXPECT_EQ(mutua_table_by_name(reader_, other.data(), other.size(), 0, now(), &response),
            MUTUA_TABLE_UNKNOWN);
}

TEST_F(NameTableTest, Ipv6AddressesStandBehindTheirPrefix) {
  create({wire::Name::parse("fed.example").value(), Lookaside::no,
          Ipv6Prefix::parse("fd6d:7574:7561::/96").value()});
  table_->publish("blog.fed.example", Ipv4{0x7fc80102}, seconds(60));
  mutua_local_response response{};
  const std::string name = "blog.fed.example";
  ASSERT_EQ(mutua_table_by_name(reader_, name.data(), name.size(), AF_INET6, now(), &response),
            MUTUA_TABLE_ANSWERED);
  EXPECT_EQ(SocketAddress::from_octets(response.address[0], 0).value().address_to_text(),
            "fd6d:7574:7561::7fc8:102");
}

TEST_F(NameTableTest, ReadersCanNeitherWriteNorShrinkIt) {
  EXPECT_EQ(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, table_->descriptor(), 0),
            MAP_FAILED);
  EXPECT_NE(ftruncate(table_->descriptor(), 0), 0);
  EXPECT_LT(pwrite(table_->descriptor(), "x", 1, 0), 0);
}

TEST_F(NameTableTest, AnEndInGoodOrderTellsReadersAtOnceAndAKilledWriterWithinFiveSeconds) {
  table_->publish("blog.fed.example", Ipv4{0x7fc80102}, seconds(60));
  EXPECT_TRUE(address_of("blog.fed.example"));
  EXPECT_FALSE(address_of("blog.fed.example", now() + 5'000'000'000u));
  table_.reset();
  EXPECT_FALSE(address_of("blog.fed.example"));
}

// Two names whose lengths differ take turns in one slot's bucket; a torn read would show.
TEST_F(NameTableTest, ReadersSeeOneMomentWhileTheWriterIsBusy) {
  const std::string name = "blog.fed.example";
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0}, answers{0};
  const auto read = [&] {
    while (!stop) {
      const auto address = address_of(name);
      if (!address) continue;
      ++answers;
      if (*address != Ipv4{0x7fc80102} && *address != Ipv4{0x7fc90304}) ++wrong;
      const std::string reverse = name_of(Ipv4{0x7fc90304});
      if (!reverse.empty() && reverse != name && reverse != "a-longer-name-of-the-fed.example")
        ++wrong;
    }
  };
  std::thread first(read), second(read);
  for (int i = 0; answers < 2000 || i < 20'000; ++i) {
    table_->publish(name, Ipv4{i % 2 == 0 ? 0x7fc80102u : 0x7fc90304u}, seconds(60));
    table_->publish("a-longer-name-of-the-fed.example",
                    Ipv4{i % 2 == 0 ? 0x7fc90304u : 0x7fc80102u}, seconds(60));
  }
  stop = true;
  first.join();
  second.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace mutua::resolver
