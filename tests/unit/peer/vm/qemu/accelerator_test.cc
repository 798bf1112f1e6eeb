#include "peer/vm/qemu/accelerator.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace mutua::vm::qemu {
namespace {

TEST(Accelerator, HasATextOfItsOwn) {
  for (const auto accelerator : {Accelerator::tcg, Accelerator::kvm}) {
    EXPECT_EQ(parse_accelerator(to_string(accelerator)), accelerator);
  }
  EXPECT_EQ(parse_accelerator("tcg "), std::nullopt);
  EXPECT_EQ(parse_accelerator(""), std::nullopt);
}

TEST(Accelerator, IsKvmOnRealProcessorsAlone) {
  std::ifstream file("/proc/cpuinfo");
  const std::string processors((std::istreambuf_iterator<char>(file)), {});
  const bool is_virtual = processors.find(" hypervisor ") != std::string::npos;
  const bool may_open = ::access("/dev/kvm", R_OK | W_OK) == 0;
  if (is_virtual || !may_open) {
    EXPECT_EQ(best_accelerator(), Accelerator::tcg);
  }
}

}  // namespace
}  // namespace mutua::vm::qemu
