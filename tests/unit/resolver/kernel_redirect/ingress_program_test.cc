#include "resolver/kernel_redirect/ingress_program.h"

#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string>

namespace mutua::resolver {
namespace {

constexpr std::uint32_t kLoopback = 1;

// "Let the next one decide", for every packet.
UniqueFd load_a_program() {
  std::array<bpf_insn, 2> code{};
  code[0].code = BPF_ALU64 | BPF_MOV | BPF_K;
  code[0].imm = TC_ACT_UNSPEC;
  code[1].code = BPF_JMP | BPF_EXIT;
  return UniqueFd(
      bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "test", "GPL", code.data(), code.size(), nullptr));
}

// What tc(8) says of the loopback interface's ingress.
std::string filters() {
  std::string text;
  std::array<char, 512> chunk{};
  FILE* output = popen("tc filter show dev lo ingress", "r");
  if (output == nullptr) return "no tc";
  while (fgets(chunk.data(), chunk.size(), output) != nullptr) text += chunk.data();
  pclose(output);
  return text;
}

// A network namespace of its own.
class Attached : public testing::Test {
 protected:
  void SetUp() override {
    if (unshare(CLONE_NEWNET) != 0) GTEST_SKIP() << "needs root, for a network namespace";
    program_ = load_a_program();
    if (!program_) GTEST_SKIP() << "BPF programs may not be loaded here";
  }
  UniqueFd program_;
};

TEST_F(Attached, EndsWithTheObject) {
  {
    const auto attached = IngressProgram::attach(program_.get(), kLoopback);
    ASSERT_TRUE(attached) << attached.error().message();
    const auto filter =
        IngressProgram::attach(program_.get(), kLoopback, IngressProgram::Way::filter);
    ASSERT_TRUE(filter) << filter.error().message();
    EXPECT_NE(filters().find("0x4d757475"), std::string::npos) << filters();
  }
  EXPECT_EQ(filters(), "");
}

TEST_F(Attached, WhatAKilledProcessHasLeftIsReplacedOrSwept) {
  for (const bool swept : {true, false}) {
    const pid_t child = fork();
    if (child == 0) {
      const auto left =
          IngressProgram::attach(program_.get(), kLoopback, IngressProgram::Way::filter);
      _exit(left ? 0 : 1);
    }
    int status = 1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0);
    ASSERT_NE(filters(), "");
    if (swept) {
      IngressProgram::sweep();
    } else {
      const auto again =
          IngressProgram::attach(program_.get(), kLoopback, IngressProgram::Way::filter);
      ASSERT_TRUE(again) << again.error().message();
    }
    EXPECT_EQ(filters(), "");
  }
}

TEST_F(Attached, NowhereIsAnError) { EXPECT_FALSE(IngressProgram::attach(program_.get(), 4711)); }

}  // namespace
}  // namespace mutua::resolver
