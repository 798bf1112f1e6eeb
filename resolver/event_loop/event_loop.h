#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace mutua::resolver {

// One thread's epoll loop: descriptors, timers, and functions posted from other threads.
// Everything but post() and stop() is called on the thread that runs run(), or before it runs.
class EventLoop {
 public:
  // Told of its descriptor's epoll events. A handler that is done is removed and then given to
  // dispose(): events of the same batch may still name it.
  class Handler {
   public:
    virtual void on_ready(std::uint32_t events) = 0;

   protected:
    ~Handler() = default;
  };

  using TimerKey = std::pair<SteadyTime, std::uint64_t>;

  static Result<std::unique_ptr<EventLoop>> create();
  ~EventLoop();

  // `handler` outlives the registration. `events` are EPOLLIN… with EPOLLET where wanted.
  Result<void> add(int fd, std::uint32_t events, Handler& handler);
  void change(int fd, std::uint32_t events, Handler& handler);
  void remove(int fd);

  // Keeps `object` alive until the batch of events at hand is through.
  void dispose(std::shared_ptr<void> object);

  TimerKey after(std::chrono::milliseconds delay, std::function<void()> action);
  void cancel(TimerKey& key);  // harmless when it has run; resets the key

  // Thread-safe. Runs `action` on the loop's thread; drops it when the loop has ended.
  void post(std::function<void()> action);
  // Thread-safe. run() returns after its current batch; what was posted meanwhile may be dropped.
  void stop();

  void run();

  // Whether the caller is on the loop's thread, inside run(). Thread-safe.
  bool runs_here() const { return thread_.load() == std::this_thread::get_id(); }

  // The time when the batch at hand began.
  SteadyTime now() const { return now_; }

 private:
  EventLoop(UniqueFd epoll, UniqueFd wake);
  int milliseconds_to_next_timer() const;
  void run_timers();
  void run_posted();

  UniqueFd epoll_, wake_;
  std::map<TimerKey, std::function<void()>> timers_;
  std::uint64_t next_timer_ = 1;
  std::vector<std::shared_ptr<void>> disposed_;
  SteadyTime now_;
  std::mutex mutex_;  // guards posted_
  std::vector<std::function<void()>> posted_;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::thread::id> thread_{};
};

}  // namespace mutua::resolver
