#include "nss_module/table_reader.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <string>

#include "table_in_memory.h"

namespace mutua {
namespace {

constexpr std::uint32_t kAddress = 0x7fc80102;  // 127.200.1.2
const std::string kName = "blog.fed.example";

class TableReader : public testing::Test {
 protected:
  TableInMemory table_{7};
  mutua_local_response response_{};

  mutua_table_outcome by_name(const std::string& name, int family = AF_UNSPEC) {
    return mutua_table_by_name(&*table_, name.data(), name.size(), family, monotonic_now(),
                               &response_);
  }
  mutua_table_outcome by_ipv4(std::uint32_t address) {
    const std::uint32_t octets = htonl(address);
    return mutua_table_by_address(&*table_, reinterpret_cast<const std::uint8_t*>(&octets), AF_INET,
                                  monotonic_now(), &response_);
  }
};

TEST_F(TableReader, FindsANameInAnyCaseAndItsAddress) {
  table_.put(kName, kAddress);
  for (const char* name : {"blog.fed.example", "BLOG.Fed.example"}) {
    ASSERT_EQ(by_name(name), MUTUA_TABLE_ANSWERED);
    EXPECT_EQ(response_.status, MUTUA_LOCAL_FOUND);
    EXPECT_EQ(response_.family, static_cast<std::uint32_t>(AF_INET));
    EXPECT_EQ(response_.address_count, 1u);
    EXPECT_STREQ(response_.name, "blog.fed.example");
    EXPECT_EQ(response_.name_length, kName.size());
    EXPECT_EQ(response_.address[0][0], 127);
    EXPECT_EQ(response_.address[0][3], 2);
    EXPECT_GE(response_.ttl, 58u);
    EXPECT_LE(response_.ttl, 60u);
  }
  ASSERT_EQ(by_ipv4(kAddress), MUTUA_TABLE_ANSWERED);
  EXPECT_STREQ(response_.name, "blog.fed.example");
  EXPECT_EQ(by_ipv4(kAddress + 1), MUTUA_TABLE_UNKNOWN);
}

TEST_F(TableReader, WhatItDoesNotKnowIsAskedAndWhatIsNobodysBusinessIsNot) {
  EXPECT_EQ(by_name("other.fed.example"), MUTUA_TABLE_UNKNOWN);
  EXPECT_EQ(by_name("fed.example"), MUTUA_TABLE_UNKNOWN);
  for (const char* name : {"www.debian.org", "notfed.example", "example", "fed.example.org"}) {
    EXPECT_EQ(by_name(name), MUTUA_TABLE_ANSWERED) << name;
    EXPECT_EQ(response_.status, MUTUA_LOCAL_NOT_FOUND) << name;
  }
  table_->header.flags = MUTUA_TABLE_ALL_NAMES;
  EXPECT_EQ(by_name("www.debian.org"), MUTUA_TABLE_UNKNOWN);
  EXPECT_EQ(by_name("bl\\111g.fed.example"), MUTUA_TABLE_UNKNOWN) << "one name, several texts";
}

TEST_F(TableReader, GivesIpv6OnlyWhereAskedForAndWhereThereIsSome) {
  table_.put(kName, kAddress);
  ASSERT_EQ(by_name(kName, AF_INET6), MUTUA_TABLE_ANSWERED);
  EXPECT_EQ(response_.status, MUTUA_LOCAL_NO_DATA);
  table_->header.flags = MUTUA_TABLE_HAS_IPV6;
  table_->header.ipv6_prefix[0] = 0xfd;
  ASSERT_EQ(by_name(kName, AF_INET6), MUTUA_TABLE_ANSWERED);
  EXPECT_EQ(response_.status, MUTUA_LOCAL_FOUND);
  EXPECT_EQ(response_.family, static_cast<std::uint32_t>(AF_INET6));
  const std::uint8_t expected[16] = {0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 127, 200, 1, 2};
  EXPECT_EQ(std::memcmp(response_.address[0], expected, 16), 0);
  ASSERT_EQ(mutua_table_by_address(&*table_, expected, AF_INET6, monotonic_now(), &response_),
            MUTUA_TABLE_ANSWERED);
  EXPECT_STREQ(response_.name, "blog.fed.example");
  ASSERT_EQ(by_name(kName, AF_UNSPEC), MUTUA_TABLE_ANSWERED);
  EXPECT_EQ(response_.family, static_cast<std::uint32_t>(AF_INET));
}

TEST_F(TableReader, ATableWithoutALivingWriterAnswersNothing) {
  table_.put(kName, kAddress);
  table_.retire();
  EXPECT_EQ(by_name(kName), MUTUA_TABLE_DEAD);
  EXPECT_EQ(by_ipv4(kAddress), MUTUA_TABLE_DEAD);
  EXPECT_EQ(by_name("www.debian.org"), MUTUA_TABLE_DEAD);
  table_->header.alive_until = monotonic_now() - 1;
  EXPECT_EQ(by_name(kName), MUTUA_TABLE_DEAD);
  table_->header.alive_until = monotonic_now() + kSecond;
  table_->header.magic = 1;
  EXPECT_EQ(by_name(kName), MUTUA_TABLE_DEAD);
}

TEST_F(TableReader, AnEntryThatIsOverOrBeingWrittenIsAskedFor) {
  const std::size_t slot = table_.put(kName, kAddress);
  std::uint64_t* words = table_->slots[slot];
  words[1] = monotonic_now() - 1;
  EXPECT_EQ(by_name(kName), MUTUA_TABLE_UNKNOWN);
  words[1] = monotonic_now() + kSecond;
  words[0] = 5;  // the writer died here
  EXPECT_EQ(by_name(kName), MUTUA_TABLE_UNKNOWN);
  EXPECT_EQ(by_ipv4(kAddress), MUTUA_TABLE_UNKNOWN);
}

TEST_F(TableReader, LengthsReferencesAndNamesThatLieAreNotBelieved) {
  const std::size_t slot = table_.put(kName, kAddress);
  std::uint64_t* words = table_->slots[slot];
  for (const std::uint64_t length : {0ull, 256ull, 0xffffffffull, 15ull, 17ull}) {
    words[2] = kAddress | length << 32;
    EXPECT_EQ(by_name(kName), MUTUA_TABLE_UNKNOWN) << length;
  }
  words[2] = kAddress | std::uint64_t{kName.size()} << 32;
  ASSERT_EQ(by_name(kName), MUTUA_TABLE_ANSWERED);
  reinterpret_cast<char*>(words + MUTUA_TABLE_NAME_WORD)[3] = '\0';
  EXPECT_EQ(by_name(kName), MUTUA_TABLE_UNKNOWN);
  EXPECT_EQ(by_ipv4(kAddress), MUTUA_TABLE_UNKNOWN) << "a name with a zero octet";
  auto& bucket = table_->addresses[mutua_table_address_bucket(table_->header.seed, kAddress)];
  for (const std::uint32_t reference : {std::uint32_t{MUTUA_TABLE_SLOTS} + 1, 0xffffffffu}) {
    for (auto& one : bucket) one = reference;
    EXPECT_EQ(by_ipv4(kAddress), MUTUA_TABLE_UNKNOWN);
  }
  table_->header.zone_length = 0xffffffffu;
  EXPECT_EQ(by_name("www.debian.org"), MUTUA_TABLE_UNKNOWN);
}

TEST_F(TableReader, ALongestNameFits) {
  std::string longest;
  while (longest.size() < 243) longest += "abcdefghi.";
  longest.resize(243, 'x');
  longest += ".fed.example";
  ASSERT_EQ(longest.size(), std::size_t{MUTUA_TABLE_NAME_MAX});
  table_.put(longest, kAddress);
  ASSERT_EQ(by_name(longest), MUTUA_TABLE_ANSWERED);
  EXPECT_EQ(response_.name, longest);
  EXPECT_EQ(by_name(longest + "x"), MUTUA_TABLE_UNKNOWN);
  EXPECT_EQ(by_name(""), MUTUA_TABLE_UNKNOWN);
}

}  // namespace
}  // namespace mutua
