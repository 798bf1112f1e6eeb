#include "resolver/event_loop/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace mutua::resolver {
namespace {

constexpr int kBatch = 256;
constexpr std::chrono::milliseconds kLongestSleep{60'000};

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::create() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return errno_error(errno, "epoll_create1");
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return errno_error(errno, "eventfd");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;  // stands for wake_
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) {
    return errno_error(errno, "watch the wake-up descriptor");
  }
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(epoll), std::move(wake)));
}

EventLoop::EventLoop(UniqueFd epoll, UniqueFd wake)
    : epoll_(std::move(epoll)), wake_(std::move(wake)), now_(std::chrono::steady_clock::now()) {}

EventLoop::~EventLoop() = default;

Result<void> EventLoop::add(int fd, std::uint32_t events, Handler& handler) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &handler;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
    return errno_error(errno, "epoll_ctl");
  return {};
}

void EventLoop::change(int fd, std::uint32_t events, Handler& handler) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &handler;
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void EventLoop::remove(int fd) { epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

void EventLoop::dispose(std::shared_ptr<void> object) { disposed_.push_back(std::move(object)); }

EventLoop::TimerKey EventLoop::after(std::chrono::milliseconds delay,
                                     std::function<void()> action) {
  const TimerKey key{std::chrono::steady_clock::now() + delay, next_timer_++};
  timers_.emplace(key, std::move(action));
  return key;
}

void EventLoop::cancel(TimerKey& key) {
  if (key.second != 0) timers_.erase(key);
  key = {};
}

void EventLoop::post(std::function<void()> action) {
  bool was_empty = false;
  {
    const std::lock_guard lock(mutex_);
    was_empty = posted_.empty();
    posted_.push_back(std::move(action));
  }
  if (!was_empty) return;  // the one that filled the queue has woken the loop
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(wake_.get(), &one, sizeof one);
}

void EventLoop::stop() {
  stopping_ = true;
  post([] {});
}

int EventLoop::milliseconds_to_next_timer() const {
  if (timers_.empty()) return static_cast<int>(kLongestSleep.count());
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(timers_.begin()->first.first -
                                                                 std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp(left, std::chrono::milliseconds(0), kLongestSleep).count());
}

void EventLoop::run_timers() {
  // Timers that an action sets are later than now_, so this ends.
  while (!timers_.empty() && timers_.begin()->first.first <= now_) {
    auto due = timers_.extract(timers_.begin());
    due.mapped()();
  }
}

void EventLoop::run_posted() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = read(wake_.get(), &count, sizeof count);
  std::vector<std::function<void()>> actions;
  {
    const std::lock_guard lock(mutex_);
    actions.swap(posted_);
  }
  for (auto& action : actions) action();
}

void EventLoop::run() {
  thread_ = std::this_thread::get_id();
  std::array<epoll_event, kBatch> events;
  while (!stopping_) {
    const int ready = epoll_wait(epoll_.get(), events.data(), kBatch, milliseconds_to_next_timer());
    BASE_ASSERT(ready >= 0 || errno == EINTR);
    now_ = std::chrono::steady_clock::now();
    for (int i = 0; i < ready; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      if (event.data.ptr == nullptr) {
        run_posted();
      } else {
        static_cast<Handler*>(event.data.ptr)->on_ready(event.events);
      }
    }
    run_timers();
    disposed_.clear();
  }
  thread_ = std::thread::id();
}

}  // namespace mutua::resolver
