#include <gtest/gtest.h>

#include "resolver/kernel_redirect/kernel_redirect.h"

namespace mutua::resolver {
namespace {

TEST(CgroupRoot, IsWhereTheSecondVersionIsMounted) {
  EXPECT_EQ(cgroup_root_in("22 28 0:20 / /proc rw - proc proc rw\n"
                           "31 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"),
            "/sys/fs/cgroup");
  EXPECT_EQ(cgroup_root_in("33 31 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
                           "42 31 0:37 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 x rw"),
            "/sys/fs/cgroup/unified");
}

TEST(CgroupRoot, IsNowhereWithoutOneAndInNonsense) {
  EXPECT_EQ(cgroup_root_in(""), "");
  EXPECT_EQ(cgroup_root_in("33 31 0:28 / /sys/fs/cgroup rw - cgroup cgroup rw,cpu\n"), "");
  EXPECT_EQ(cgroup_root_in(" - cgroup2 \n"), "");
  EXPECT_EQ(cgroup_root_in("\n\n- cgroup2"), "");
}

}  // namespace
}  // namespace mutua::resolver
