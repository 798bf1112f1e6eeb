#include "peer/vm/qemu/changes.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "base/unique_fd.h"

namespace mutua::vm::qemu {
namespace {

constexpr std::uint64_t kBytes = (1 << 20) + 100;

UniqueFd make_file() {
  std::string pattern = testing::TempDir() + "changes-XXXXXX";
  UniqueFd file(::mkstemp(pattern.data()));
  ::unlink(pattern.c_str());
  EXPECT_EQ(::ftruncate(file.get(), kBytes), 0);
  return file;
}

void put(const UniqueFd& file, off_t offset, const std::string& text) {
  EXPECT_EQ(::pwrite(file.get(), text.data(), text.size(), offset),
            static_cast<ssize_t>(text.size()));
}

std::string content(const UniqueFd& file) {
  std::string text(kBytes, '\0');
  EXPECT_EQ(::pread(file.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  return text;
}

TEST(CopyChanges, CopiesThenFollows) {
  const UniqueFd from = make_file(), to = make_file();
  put(from, 5000, "one");
  put(from, 600'000, std::string(9000, 'x'));
  put(from, static_cast<off_t>(kBytes) - 3, "end");
  const auto first = copy_changes(from.get(), to.get(), kBytes);
  ASSERT_TRUE(first.ok()) << first.error().message();
  EXPECT_EQ(*first, 1u + 3u + 1u);
  EXPECT_EQ(content(from), content(to));
  struct stat status {};
  ASSERT_EQ(::fstat(to.get(), &status), 0);
  EXPECT_LT(status.st_blocks * 512, 64 << 10) << "zeroes stay holes";

  put(from, 5000, std::string(3, '\0'));
  put(from, 700'000, "new");
  const auto second = copy_changes(from.get(), to.get(), kBytes);
  ASSERT_TRUE(second.ok()) << second.error().message();
  EXPECT_EQ(*second, 1u);
  EXPECT_EQ(content(from), content(to));
}

TEST(CopyChanges, StopsAtTheGivenSize) {
  const UniqueFd from = make_file(), to = make_file();
  put(from, 0, std::string(kBytes, 'x'));
  ASSERT_TRUE(copy_changes(from.get(), to.get(), 6000).ok());
  EXPECT_EQ(content(to), std::string(6000, 'x') + std::string(kBytes - 6000, '\0'));
}

TEST(CopyChanges, ReportsAnUnwritableCopy) {
  const UniqueFd from = make_file();
  put(from, 0, "x");
  EXPECT_FALSE(copy_changes(from.get(), -1, kBytes).ok());
}

}  // namespace
}  // namespace mutua::vm::qemu
