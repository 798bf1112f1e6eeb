#pragma once

#include <initializer_list>
#include <memory>

#include "resolver/event_loop/event_loop.h"

namespace mutua::resolver {

// Stops a loop when one of the signals comes. To be made before any thread starts: threads inherit
// the blocked signals, so that only the watch sees them. SIGPIPE is ignored from then on.
class SignalWatch final : public EventLoop::Handler {
 public:
  // `loop` outlives the watch.
  static Result<std::unique_ptr<SignalWatch>> create(EventLoop& loop,
                                                     std::initializer_list<int> signals);
  void on_ready(std::uint32_t events) override;

 private:
  SignalWatch(EventLoop& loop, UniqueFd fd) : loop_(loop), fd_(std::move(fd)) {}

  EventLoop& loop_;
  const UniqueFd fd_;
};

}  // namespace mutua::resolver
