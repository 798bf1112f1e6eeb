#include "base/thread_scheduling.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <latch>
#include <thread>

namespace mutua {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kWork(200);

void stay_on(int processor) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(processor, &one);
  ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0) << "processor " << processor;
}

// What a thread has computed, and how often another took its place meanwhile.
struct Share {
  double computed = 0;  // milliseconds
  long turns = 0;
};

Share share_of_this_thread() {
  rusage usage;
  EXPECT_EQ(::getrusage(RUSAGE_THREAD, &usage), 0);
  const auto of = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
  };
  return {of(usage.ru_utime) + of(usage.ru_stime), usage.ru_nvcsw + usage.ru_nivcsw};
}

// Two threads that compute on one processor and offer to give way all the time.
std::array<Share, 2> of_two_threads(bool step_back_first) {
  std::array<Share, 2> shares;
  std::latch both(2);
  const auto compute = [&](Share& share) {
    stay_on(0);
    if (step_back_first) step_back();
    both.arrive_and_wait();
    const Share before = share_of_this_thread();
    const auto end = std::chrono::steady_clock::now() + kWork;
    while (std::chrono::steady_clock::now() < end) give_way();
    const Share after = share_of_this_thread();
    share = {after.computed - before.computed, after.turns - before.turns};
  };
  {
    std::jthread first([&] { compute(shares[0]); });
    std::jthread second([&] { compute(shares[1]); });
  }
  return shares;
}

TEST(ThreadScheduling, ThoseWhoSteppedBackTakeTurnsLongBeforeTheKernelWouldMakeThem) {
  // A tick lasts a millisecond or more: the kernel alone makes 200 turns of this time at most. Others
  // may want the processor as well, which is no fault of these two, so that they get more chances.
  long turns = 0;
  for (int attempt = 0; attempt < 20 && turns < 1000; ++attempt) {
    const auto shares = of_two_threads(true);
    turns = std::min(shares[0].turns, shares[1].turns);
  }
  EXPECT_GE(turns, 1000);
}

TEST(ThreadScheduling, WhoNeverSteppedBackKeepsTheProcessor) {
  const auto shares = of_two_threads(false);
  for (const Share& one : shares) EXPECT_LT(one.turns, 1000);
}

TEST(ThreadScheduling, GivingWayCostsNobodyItsShareOfTheProcessor) {
  std::array<Share, 2> shares;
  std::latch both(2);
  const auto compute = [&](Share& share, bool gives_way) {
    stay_on(0);
    if (gives_way)
      step_back();
    else  // as nice as that
      ASSERT_EQ(::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), 10), 0);
    both.arrive_and_wait();
    const Share before = share_of_this_thread();
    const auto end = std::chrono::steady_clock::now() + 2 * kWork;
    while (std::chrono::steady_clock::now() < end)
      if (gives_way) give_way();
    share = share_of_this_thread();
    share.computed -= before.computed;
  };
  {
    std::jthread polite([&] { compute(shares[0], true); });
    std::jthread greedy([&] { compute(shares[1], false); });
  }
  EXPECT_GT(shares[0].computed, shares[1].computed / 8);
}

}  // namespace
}  // namespace mutua
