#include "resolver/event_loop/event_loop.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <thread>

namespace mutua::resolver {
namespace {

using namespace std::chrono_literals;

class EventLoopTest : public testing::Test {
 protected:
  std::unique_ptr<EventLoop> loop_ = EventLoop::create().value();
};

TEST_F(EventLoopTest, TimersRunInTheirOrderAndCancelledOnesNot) {
  std::string order;
  loop_->after(20ms, [&] { order += "b"; });
  loop_->after(10ms, [&] { order += "a"; });
  auto cancelled = loop_->after(15ms, [&] { order += "x"; });
  loop_->after(30ms, [&] {
    order += "c";
    loop_->stop();
  });
  loop_->cancel(cancelled);
  loop_->cancel(cancelled);  // harmless
  loop_->run();
  EXPECT_EQ(order, "abc");
}

TEST_F(EventLoopTest, ATimerMayCancelItsNeighbourAndSetAnother) {
  std::string order;
  EventLoop::TimerKey neighbour;
  loop_->after(0ms, [&] {
    order += "a";
    loop_->cancel(neighbour);
    loop_->after(0ms, [&] { loop_->stop(); });
  });
  neighbour = loop_->after(0ms, [&] { order += "x"; });
  loop_->run();
  EXPECT_EQ(order, "a");
}

TEST_F(EventLoopTest, PostedActionsRunOnTheLoopsThreadInOrder) {
  int sum = 0;
  bool everywhere_here = true;
  std::thread other([&] {
    for (int i = 0; i < 10'000; ++i) {
      loop_->post([&, i] {
        everywhere_here = everywhere_here && loop_->runs_here() && sum == i;
        ++sum;
      });
    }
    loop_->post([&] { loop_->stop(); });
  });
  EXPECT_FALSE(loop_->runs_here());
  loop_->run();
  other.join();
  EXPECT_EQ(sum, 10'000);
  EXPECT_TRUE(everywhere_here);
}

struct Pair;
struct End final : EventLoop::Handler {
  explicit End(Pair& owner) : pair(owner) {}
  void on_ready(std::uint32_t) override;
  Pair& pair;
  bool retired = false;
};
struct Pair {
  EventLoop& loop;
  std::shared_ptr<End> ends[2];
  int calls = 0;
};
void End::on_ready(std::uint32_t) {
  if (retired) return;
  ++pair.calls;
  for (auto& end : pair.ends) {
    end->retired = true;
    pair.loop.dispose(std::move(end));
  }
  pair.loop.stop();
}

// Two handlers are ready in one batch; whichever runs first ends both.
TEST_F(EventLoopTest, AHandlerThatWasDisposedOfInItsBatchStaysUntilItsEnd) {
  Pair pair{*loop_, {}, 0};
  int fds[2][2];
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(pipe(fds[i]), 0);
    ASSERT_EQ(write(fds[i][1], "x", 1), 1);
    pair.ends[i] = std::make_shared<End>(pair);
    ASSERT_TRUE(loop_->add(fds[i][0], EPOLLIN, *pair.ends[i]).ok());
  }
  loop_->run();
  EXPECT_EQ(pair.calls, 1);
  for (const auto& ends : fds) {
    close(ends[0]);
    close(ends[1]);
  }
}

}  // namespace
}  // namespace mutua::resolver
