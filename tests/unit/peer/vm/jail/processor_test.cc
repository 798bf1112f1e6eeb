#include "peer/vm/jail/processor.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <initializer_list>
#include <string>
#include <vector>

namespace mutua::vm {
namespace {

cpu_set_t set_of(std::initializer_list<std::size_t> processors) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const std::size_t processor : processors) CPU_SET(processor, &set);
  return set;
}

// A second in which the processors idled for these hundredths.
std::vector<ProcessorTime> after(const std::vector<ProcessorTime>& before,
                                 const std::vector<std::uint64_t>& idle) {
  std::vector<ProcessorTime> times = before;
  for (std::size_t i = 0; i < idle.size(); ++i) {
    times[i].idle += idle[i];
    times[i].all += 100;
  }
  return times;
}

const std::vector<ProcessorTime> kBefore = {{10, 1000}, {900, 1000}, {500, 1000}, {500, 1000}};
constexpr double kCrowded = 0.4;

TEST(Processor, MachineGoesToTheIdlestWhenItHasToWait) {
  const cpu_set_t all = set_of({0, 1, 2, 3});
  EXPECT_EQ(better_processor(0, kCrowded, kBefore, after(kBefore, {0, 60, 90, 70}), all), 2);
}

TEST(Processor, MachineStaysWhereItNeedsNotWait) {
  const cpu_set_t all = set_of({0, 1, 2, 3});
  EXPECT_EQ(better_processor(0, 0.01, kBefore, after(kBefore, {0, 60, 90, 70}), all), std::nullopt);
}

TEST(Processor, MachineStaysWhereAllAreBusy) {
  const cpu_set_t all = set_of({0, 1, 2, 3});
  EXPECT_EQ(better_processor(0, kCrowded, kBefore, after(kBefore, {0, 40, 30, 49}), all),
            std::nullopt);
}

TEST(Processor, MachineGoesOnlyWhereItMay) {
  EXPECT_EQ(better_processor(0, kCrowded, kBefore, after(kBefore, {0, 60, 90, 70}), set_of({0, 1})),
            1);
  EXPECT_EQ(
      better_processor(0, kCrowded, kBefore, after(kBefore, {99, 0, 0, 0}), set_of({0, 1, 2, 3})),
      std::nullopt)
      << "its own is no other processor";
}

TEST(Processor, CountersThatAreMissingOrStandStillSayNothing) {
  const cpu_set_t all = set_of({0, 1, 2, 3});
  EXPECT_EQ(better_processor(0, kCrowded, {}, {}, all), std::nullopt);
  EXPECT_EQ(better_processor(0, kCrowded, kBefore, kBefore, all), std::nullopt);
}

TEST(Processor, TimesOfTheHostAreReadForEachProcessor) {
  const auto times = read_processor_times();
  ASSERT_GE(times.size(), 1u);
  EXPECT_GT(times[0].all, times[0].idle);
}

std::vector<pid_t> children_of(pid_t pid) {
  const std::string path =
      "/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children";
  std::vector<pid_t> found;
  if (FILE* file = std::fopen(path.c_str(), "r")) {
    for (int child = 0; std::fscanf(file, "%d", &child) == 1;) found.push_back(child);
    std::fclose(file);
  }
  return found;
}

// A process with a child that has a child.
class Tree {
 public:
  Tree() {
    int ready[2];
    if (::pipe(ready) != 0) return;
    const pid_t root = ::fork();
    if (root == 0) {
      stay_on_this_processor();
      if (::fork() == 0 && ::fork() == 0) (void)!::write(ready[1], "", 1);
      for (;;) ::pause();
    }
    char byte = 0;
    (void)!::read(ready[0], &byte, 1);
    ::close(ready[0]);
    ::close(ready[1]);
    pids_ = {root};
    for (std::size_t i = 0; i < pids_.size(); ++i) {
      for (const pid_t child : children_of(pids_[i])) pids_.push_back(child);
    }
  }
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;
  ~Tree() {
    for (const pid_t pid : pids_) ::kill(pid, SIGKILL);
    ::waitpid(root(), nullptr, 0);
  }
  pid_t root() const { return pids_.front(); }
  const std::vector<pid_t>& pids() const { return pids_; }

 private:
  std::vector<pid_t> pids_;
};

cpu_set_t affinity(pid_t pid) {
  cpu_set_t set;
  CPU_ZERO(&set);
  EXPECT_EQ(::sched_getaffinity(pid, sizeof set, &set), 0);
  return set;
}

TEST(Processor, WhatAProcessStartsStaysWithIt) {
  const Tree tree;
  ASSERT_EQ(tree.pids().size(), 3u);
  const cpu_set_t root = affinity(tree.root());
  EXPECT_EQ(CPU_COUNT(&root), 1);
  for (const pid_t pid : tree.pids()) {
    const cpu_set_t found = affinity(pid);
    EXPECT_TRUE(CPU_EQUAL(&root, &found)) << pid;
  }
}

TEST(Processor, TreeMovesWhole) {
  const cpu_set_t allowed = affinity(0);
  const Tree tree;
  ASSERT_EQ(tree.pids().size(), 3u);
  for (std::size_t processor = 0; processor < CPU_SETSIZE; ++processor) {
    if (!CPU_ISSET(processor, &allowed)) continue;
    move_tree(tree.root(), static_cast<int>(processor));
    const cpu_set_t expected = set_of({processor});
    for (const pid_t pid : tree.pids()) {
      const cpu_set_t found = affinity(pid);
      EXPECT_TRUE(CPU_EQUAL(&found, &expected)) << pid << " on " << processor;
    }
  }
}

}  // namespace
}  // namespace mutua::vm
