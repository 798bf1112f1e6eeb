#include "resolver/redirect/address_book.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>

namespace mutua::resolver {
namespace {

const std::vector<ServicePort> kWeb = {{80, Transport::tcp}};
const auto kForgetNobody = [](const std::string&) { return false; };
const auto kForgetAnybody = [](const std::string&) { return true; };

class AddressBookTest : public testing::Test {
 protected:
  void SetUp() override {
    char folder[] = "/tmp/address-book-XXXXXX";
    folder_ = mkdtemp(folder);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  AddressBook open(std::size_t limit = 100, const char* range = "127.192.0.0/10") {
    return AddressBook::open(Ipv4Range::parse(range).value(), limit, folder_ / "addresses").value();
  }
  std::filesystem::path folder_;
};

TEST_F(AddressBookTest, ANameKeepsItsAddressAcrossRestartsAndWithoutAJournal) {
  const Ipv4 address = open().assign("blog.fed.example", kWeb, kForgetNobody)->address;
  AddressBook again = open();
  ASSERT_NE(again.find("blog.fed.example"), nullptr);
  EXPECT_EQ(again.find("blog.fed.example")->address, address);
  EXPECT_EQ(again.find("blog.fed.example")->ports, kWeb);
  EXPECT_EQ(again.find(address)->name, "blog.fed.example");
  std::filesystem::remove(folder_ / "addresses");
  EXPECT_EQ(open().assign("blog.fed.example", kWeb, kForgetNobody)->address, address);
}

TEST_F(AddressBookTest, NamesThatCollideGetAddressesOfTheirOwnAndKeepThem) {
  std::map<std::string, Ipv4> given;
  {
    AddressBook book = open(200, "127.200.5.0/24");
    for (int i = 0; i < 200; ++i) {
      const std::string name = "n" + std::to_string(i);
      given[name] = book.assign(name, kWeb, kForgetNobody)->address;
    }
  }
  std::set<Ipv4> distinct;
  const AddressBook again = open(200, "127.200.5.0/24");
  for (const auto& [name, address] : given) {
    distinct.insert(address);
    EXPECT_EQ(again.find(name)->address, address);
    EXPECT_NE(address.value & 0xff, 0u);
    EXPECT_NE(address.value & 0xff, 0xffu);
  }
  EXPECT_EQ(distinct.size(), 200u);
}

TEST_F(AddressBookTest, AFullBookForgetsTheLongestUnusedThatMayBeForgotten) {
  AddressBook book = open(2);
  ASSERT_TRUE(book.assign("a", kWeb, kForgetNobody).ok());
  ASSERT_TRUE(book.assign("b", kWeb, kForgetNobody).ok());
  EXPECT_FALSE(book.assign("c", kWeb, kForgetNobody).ok());
  ASSERT_TRUE(book.assign("a", kWeb, kForgetNobody).ok());  // used again
  ASSERT_TRUE(book.assign("c", kWeb, kForgetAnybody).ok());
  EXPECT_NE(book.find("a"), nullptr);
  EXPECT_EQ(book.find("b"), nullptr);
}

TEST_F(AddressBookTest, JournalLinesThatMakeNoSenseAreDropped) {
  std::ofstream(folder_ / "addresses") << "127.192.0.7 80/tcp good\n"
                                       << "10.0.0.1 80/tcp outside\n"
                                       << "nonsense\n\n127.192.0.8 80/tcp \n999.1.1.1 80/tcp x\n"
                                       << "127.192.0.7 80/tcp same-address\n"
                                       << "127.192.0.9 80/tcp,443/tcp good\n"
                                       << "127.192.0.10 80/tcp cut-of";
  const AddressBook book = open();
  ASSERT_EQ(book.entries().size(), 1u);
  EXPECT_EQ(book.find("good")->address.to_text(), "127.192.0.9") << "the latest line counts";
  EXPECT_EQ(book.find("good")->ports.size(), 2u);
}

TEST_F(AddressBookTest, TheJournalDoesNotGrowWithoutBound) {
  AddressBook book = open(4);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(
        book.assign("name", {{static_cast<std::uint16_t>(1 + i), Transport::tcp}}, kForgetAnybody)
            .ok());
  }
  EXPECT_LT(std::filesystem::file_size(folder_ / "addresses"), 9u * 40);
  EXPECT_EQ(open(4).find("name")->ports[0].port, 1000);
}

TEST(Ipv4Range, IsStrict) {
  EXPECT_TRUE(Ipv4Range::parse("127.192.0.0/10").ok());
  EXPECT_EQ(Ipv4Range::parse("198.18.0.0/15")->size(), 131072u);
  for (const char* wrong :
       {"", "127.0.0.0", "127.0.0.0/7", "127.0.0.0/25", "127.0.0.0/33", "127.1.0.0/8", "::1/16",
        "127.192.0.0/10 ", "127.192.0.0/-1", "localhost/10"}) {
    EXPECT_FALSE(Ipv4Range::parse(wrong).ok()) << wrong;
  }
  const auto range = Ipv4Range::parse("127.192.0.0/10").value();
  EXPECT_TRUE(range.contains(Ipv4{0x7fffffff}));
  EXPECT_FALSE(range.contains(Ipv4{0x80000000}));
  EXPECT_FALSE(range.contains(Ipv4{0x7fbfffff}));
}

}  // namespace
}  // namespace mutua::resolver
