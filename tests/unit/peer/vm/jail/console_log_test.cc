#include "peer/vm/jail/console_log.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace mutua::vm {
namespace {

TEST(ConsoleLog, StaysBelowItsLimitAndKeepsThePartBefore) {
  std::string pattern = testing::TempDir() + "mutua-log-XXXXXX";
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  const std::filesystem::path folder = pattern;
  const auto path = folder / "console.log";
  auto log = ConsoleLog::open(path);
  ASSERT_TRUE(log.ok()) << log.error().message();
  const Bytes chunk(300'000, 'x');
  for (int i = 0; i < 10; ++i) log->append(chunk);
  EXPECT_LE(std::filesystem::file_size(path), kLargestConsoleBytes);
  EXPECT_EQ(std::filesystem::file_size(path.string() + ".1"), kLargestConsoleBytes);
  // Nothing else grows beside the two.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 2);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace mutua::vm
