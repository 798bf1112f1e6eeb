#include "resolver/service/stand_ins.h"

#include <sys/epoll.h>

#include <algorithm>

namespace mutua::resolver {
namespace {

// TCP repeats after its time-out, which is 200 ms or more with the round trip; it has passed once.
constexpr std::chrono::milliseconds kPatience{3000};
constexpr std::size_t kMost = 1024;

}  // namespace

class StandIns::Waiting final : public EventLoop::Handler {
 public:
  Waiting(StandIns& owner, ConnectRedirect::StandIn stand_in)
      : owner_(owner), stand_in_(std::move(stand_in)) {}

  bool begin() {
    if (!owner_.loop_.add(stand_in_.socket.get(), EPOLLIN, *this)) return false;
    timer_ = owner_.loop_.after(kPatience, [this] { owner_.end(*this); });
    return true;
  }

  void on_ready(std::uint32_t) override {
    if (stand_in_.socket) owner_.end(*this);
  }

  ConnectRedirect::StandIn stop() {
    owner_.loop_.cancel(timer_);
    owner_.loop_.remove(stand_in_.socket.get());
    return std::move(stand_in_);
  }

 private:
  StandIns& owner_;
  ConnectRedirect::StandIn stand_in_;
  EventLoop::TimerKey timer_{};
};

StandIns::StandIns(EventLoop& loop, ConnectRedirect& redirect, Relay& relay)
    : loop_(loop), redirect_(redirect), relay_(relay) {}

StandIns::~StandIns() {
  for (const auto& waiting : waiting_) redirect_.is_taken(waiting->stop());
}

void StandIns::take() {
  for (ConnectRedirect::StandIn& one : redirect_.stand_ins()) {
    const auto waiting = std::make_shared<Waiting>(*this, std::move(one));
    if (waiting_.size() < kMost && waiting->begin()) {
      waiting_.push_back(waiting);
    } else {
      redirect_.is_taken(waiting->stop());
    }
  }
}

void StandIns::end(Waiting& waiting) {
  ConnectRedirect::StandIn stand_in = waiting.stop();
  const auto found = std::ranges::find(waiting_, &waiting, &std::shared_ptr<Waiting>::get);
  loop_.dispose(*found);
  waiting_.erase(found);
  if (redirect_.is_taken(stand_in))
    relay_.adopt(std::move(stand_in.socket), stand_in.synthetic, stand_in.peer);
}

}  // namespace mutua::resolver
