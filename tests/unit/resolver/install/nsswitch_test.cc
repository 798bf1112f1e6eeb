#include "resolver/install/nsswitch.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "base/durable_file.h"

namespace mutua::resolver {
namespace {

struct Case {
  const char *before, *after;
};

class Nsswitch : public testing::TestWithParam<Case> {};

TEST_P(Nsswitch, IsInsertedInItsPlaceAndTakenOutExactly) {
  const auto installed = with_mutua(GetParam().before);
  ASSERT_TRUE(installed.ok());
  EXPECT_EQ(*installed, GetParam().after);
  EXPECT_EQ(with_mutua(*installed).value(), *installed) << "twice is once";
  EXPECT_EQ(without_mutua(*installed).value(), GetParam().before);
  EXPECT_EQ(without_mutua(GetParam().before).value(), GetParam().before) << "nothing to take out";
}

INSTANTIATE_TEST_SUITE_P(
    Lines, Nsswitch,
    testing::Values(
        Case{"hosts: files dns\n", "hosts: files mutua dns\n"},
        Case{"hosts:          files dns\nnetworks: files\n",
             "hosts:          files mutua dns\nnetworks: files\n"},
        Case{"# hosts: files\nhosts:\tfiles\t dns # resolver\n",
             "# hosts: files\nhosts:\tfiles\t mutua dns # resolver\n"},
        Case{"hosts: files mdns4_minimal [NOTFOUND=return] dns",
             "hosts: files mutua mdns4_minimal [NOTFOUND=return] dns"},
        Case{"hosts: files mdns4 dns\n", "hosts: files mdns4 mutua dns\n"},
        Case{"hosts: mymachines resolve [!UNAVAIL=return] files myhostname dns\n",
             "hosts: mymachines mutua resolve [!UNAVAIL=return] files myhostname dns\n"},
        Case{
            "hosts: files [success=return notfound=continue] resolve[!UNAVAIL=return] dns\n",
            "hosts: files [success=return notfound=continue] mutua resolve[!UNAVAIL=return] dns\n"},
        Case{"hosts: files\n", "hosts: files mutua\n"}, Case{"hosts: files", "hosts: files mutua"},
        Case{"hosts: files myhostname  # only mine\n",
             "hosts: files myhostname mutua  # only mine\n"},
        Case{"hosts:\n", "hosts: mutua\n"}, Case{"hosts: dns", "hosts: mutua dns"},
        Case{"  hosts: files dns\r\n", "  hosts: files mutua dns\r\n"}));

TEST(NsswitchText, ActionsBehindMutuaGoWithIt) {
  EXPECT_EQ(without_mutua("hosts: files mutua [!UNAVAIL=return] dns\n").value(),
            "hosts: files dns\n");
  EXPECT_EQ(without_mutua("hosts: files mutua [NOTFOUND=return]\n").value(), "hosts: files\n");
  EXPECT_EQ(without_mutua("hosts: mutua\n").value(), "hosts:\n");
}

TEST(NsswitchText, ATextThatCannotBeEditedSafelyIsAnError) {
  EXPECT_FALSE(with_mutua("").ok());
  EXPECT_FALSE(with_mutua("passwd: files\n#hosts: files\n").ok());
  EXPECT_FALSE(with_mutua("hosts: files\nhosts: dns\n").ok());
  EXPECT_FALSE(without_mutua("hosts: files\nhosts: dns\n").ok());
}

TEST(NsswitchText, OtherSourcesWithSimilarNamesAreNotTaken) {
  EXPECT_EQ(with_mutua("hosts: files mutual dns\n").value(), "hosts: files mutual mutua dns\n");
  EXPECT_EQ(without_mutua("hosts: files mutual mutua dns\n").value(), "hosts: files mutual dns\n");
}

TEST(NsswitchText, AnUnclosedActionDoesNotCrash) {
  EXPECT_TRUE(with_mutua("hosts: files [NOTFOUND").ok());
  EXPECT_TRUE(without_mutua("hosts: files mutua [NOTFOUND").ok());
}

class InstalledFile : public testing::Test {
 protected:
  void SetUp() override {
    char folder[] = "/tmp/nsswitch-test-XXXXXX";
    folder_ = mkdtemp(folder);
    path_ = folder_ / "nsswitch.conf";
    write(kText);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& text) { std::ofstream(path_) << text; }
  static std::string read(const std::filesystem::path& path) {
    return std::string(as_text(read_file(path, 1 << 20).value()));
  }

  static constexpr const char* kText = "# mine\nhosts: files dns\n";
  std::filesystem::path folder_, path_;
};

TEST_F(InstalledFile, GoesInAndOutAgainWithItsMode) {
  chmod(path_.c_str(), 0640);
  EXPECT_TRUE(install_in(path_).value());
  EXPECT_EQ(read(path_), "# mine\nhosts: files mutua dns\n");
  EXPECT_EQ(read(path_.string() + ".before-mutua"), kText);
  EXPECT_FALSE(install_in(path_).value()) << "nothing left to do";
  struct stat status {};
  stat(path_.c_str(), &status);
  EXPECT_EQ(status.st_mode & 07777, 0640u);
  EXPECT_TRUE(uninstall_from(path_).value());
  EXPECT_EQ(read(path_), kText);
  EXPECT_FALSE(std::filesystem::exists(path_.string() + ".before-mutua"));
  EXPECT_FALSE(uninstall_from(path_).value());
}

TEST_F(InstalledFile, ChangesMadeInBetweenStay) {
  ASSERT_TRUE(install_in(path_).ok());
  write("# mine\nhosts: files mutua resolve dns\nethers: db\n");
  ASSERT_TRUE(uninstall_from(path_).ok());
  EXPECT_EQ(read(path_), "# mine\nhosts: files resolve dns\nethers: db\n");
}

TEST_F(InstalledFile, ASymbolicLinkIsFollowedNotReplaced) {
  const auto link = folder_ / "link";
  std::filesystem::create_symlink(path_, link);
  EXPECT_TRUE(install_in(link).value());
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_EQ(read(path_), "# mine\nhosts: files mutua dns\n");
}

TEST_F(InstalledFile, AFileWithoutAHostsLineStaysAsItIs) {
  write("passwd: files\n");
  EXPECT_FALSE(install_in(path_).ok());
  EXPECT_EQ(read(path_), "passwd: files\n");
  EXPECT_FALSE(install_in(folder_ / "absent").ok());
}

}  // namespace
}  // namespace mutua::resolver
