#include "resolver/install/resolv_conf.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fstream>

#include "base/durable_file.h"
#include "resolver/install/service_unit.h"

namespace mutua::resolver {
namespace {

const SocketAddress kStub = SocketAddress::parse("127.0.0.153:53").value();

class ResolvConf : public testing::Test {
 protected:
  void SetUp() override {
    char folder[] = "/tmp/resolv-conf-test-XXXXXX";
    folder_ = mkdtemp(folder);
    path_ = folder_ / "resolv.conf";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void write(const std::filesystem::path& path, std::string_view text) const {
    std::ofstream(path) << text;
  }
  static std::string read(const std::filesystem::path& path) {
    return std::string(as_text(read_file(path, 65536).value()));
  }
  struct stat state_of(const std::filesystem::path& path) const {
    struct stat status {};
    EXPECT_EQ(lstat(path.c_str(), &status), 0);
    return status;
  }

  std::filesystem::path folder_, path_;
};

TEST_F(ResolvConf, NamesTheStubAndKeepsTheRest) {
  const std::string text = resolv_conf_for(
      kStub, "# mine\nnameserver 192.0.2.1\nsearch example.com\nnameserver ::1\noptions rotate");
  EXPECT_TRUE(is_our_resolv_conf(text));
  EXPECT_EQ(text.substr(text.find('\n') + 1),
            "nameserver 127.0.0.153\n# mine\nsearch example.com\noptions rotate\n");
}

TEST_F(ResolvConf, TheVeryFileComesBack) {
  write(path_, "nameserver 192.0.2.1\n");
  chmod(path_.c_str(), 0640);
  const bool has_attributes = setxattr(path_.c_str(), "user.note", "x", 1, 0) == 0;
  const struct stat before = state_of(path_);
  ASSERT_TRUE(install_stub_in(path_, kStub).value());
  EXPECT_FALSE(install_stub_in(path_, kStub).value()) << "twice is once";
  EXPECT_NE(read(path_).find("nameserver 127.0.0.153\n"), std::string::npos);
  EXPECT_EQ(state_of(path_).st_mode, before.st_mode);
  char value = 0;
  if (has_attributes) {
    EXPECT_EQ(getxattr(path_.c_str(), "user.note", &value, 1), 1);
  }
  EXPECT_EQ(read(real_resolv_conf(path_)), "nameserver 192.0.2.1\n");
  ASSERT_TRUE(uninstall_stub_from(path_).value());
  const struct stat after = state_of(path_);
  EXPECT_EQ(after.st_ino, before.st_ino);
  EXPECT_EQ(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
  EXPECT_EQ(after.st_nlink, 1u);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
  EXPECT_FALSE(uninstall_stub_from(path_).value());
}

TEST_F(ResolvConf, ASymbolicLinkGivesWayAndComesBack) {
  write(folder_ / "elsewhere", "nameserver 192.0.2.1\nsearch example.com\n");
  std::filesystem::create_symlink("elsewhere", path_);
  ASSERT_TRUE(install_stub_in(path_, kStub).value());
  EXPECT_FALSE(std::filesystem::is_symlink(path_));
  EXPECT_NE(read(path_).find("search example.com\n"), std::string::npos);
  EXPECT_EQ(read(folder_ / "elsewhere"), "nameserver 192.0.2.1\nsearch example.com\n");
  // Whoever maintains the file behind the link is still heard.
  write(folder_ / "elsewhere", "nameserver 192.0.2.2\n");
  EXPECT_EQ(read(real_resolv_conf(path_)), "nameserver 192.0.2.2\n");
  ASSERT_TRUE(uninstall_stub_from(path_).value());
  EXPECT_EQ(std::filesystem::read_symlink(path_), "elsewhere");
}

TEST_F(ResolvConf, WithoutAFileThereIsNoneAfterwards) {
  ASSERT_TRUE(install_stub_in(path_, kStub).value());
  EXPECT_EQ(real_resolv_conf(path_), path_);
  ASSERT_TRUE(uninstall_stub_from(path_).value());
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(ResolvConf, WhatOthersHaveWrittenSinceStays) {
  write(path_, "nameserver 192.0.2.1\n");
  ASSERT_TRUE(install_stub_in(path_, kStub).value());
  write(folder_ / "new", "nameserver 192.0.2.9\n");
  std::filesystem::rename(folder_ / "new", path_);  // as dhclient-script does
  EXPECT_EQ(real_resolv_conf(path_), path_);
  ASSERT_TRUE(install_stub_in(path_, kStub).value()) << "theirs is the one that is kept now";
  EXPECT_EQ(read(real_resolv_conf(path_)), "nameserver 192.0.2.9\n");
  std::filesystem::copy_file(real_resolv_conf(path_), path_,
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_FALSE(uninstall_stub_from(path_).value());
  EXPECT_EQ(read(path_), "nameserver 192.0.2.9\n");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(ResolvConf, AnotherStubTakesTheFirstOnesPlace) {
  write(path_, "nameserver 192.0.2.1\n");
  ASSERT_TRUE(install_stub_in(path_, kStub).ok());
  ASSERT_TRUE(install_stub_in(path_, SocketAddress::parse("127.0.0.154:53").value()).value());
  EXPECT_EQ(read(path_).find("127.0.0.153"), std::string::npos);
  ASSERT_TRUE(uninstall_stub_from(path_).value());
  EXPECT_EQ(read(path_), "nameserver 192.0.2.1\n");
  EXPECT_FALSE(install_stub_in(path_, SocketAddress::parse("127.0.0.1:5353").value()).ok());
}

TEST_F(ResolvConf, AUnitIsPlacedAndRemovedAndAnEditedOneLeftAlone) {
  const auto unit = folder_ / "etc/systemd/system/mutua-resolver.service";
  const auto wish = folder_ / "etc/systemd/system/multi-user.target.wants/mutua-resolver.service";
  EXPECT_FALSE(uninstall_unit(folder_, "/usr/bin").value());
  EXPECT_TRUE(install_unit(folder_, "/usr/bin").value());
  EXPECT_FALSE(install_unit(folder_, "/usr/bin").value());
  EXPECT_NE(read(unit).find("ExecStart=/usr/bin/mutua-resolver "), std::string::npos);
  EXPECT_TRUE(std::filesystem::is_symlink(wish));
  EXPECT_TRUE(uninstall_unit(folder_, "/usr/bin").value());
  EXPECT_FALSE(std::filesystem::exists(unit) || std::filesystem::is_symlink(wish));
  write(unit, "[Service]\nExecStart=/bin/true\n");
  EXPECT_FALSE(install_unit(folder_, "/usr/bin").ok());
  EXPECT_FALSE(uninstall_unit(folder_, "/usr/bin").ok());
  EXPECT_EQ(read(unit), "[Service]\nExecStart=/bin/true\n");
}

}  // namespace
}  // namespace mutua::resolver
