#pragma once

#include <map>
#include <memory>

#include "base/unique_fd.h"
#include "resolver/event_loop/event_loop.h"
#include "resolver/service/chooser.h"
#include "resolver/service/names.h"

namespace mutua::resolver {

// Looks after the peers that nobody uses at the moment, whose measurements grow old: after every eighth
// connection of this machine, and at most once a second, the one heard of longest ago among the peers
// of the open TCP services is connected to and reset again. Its round trip tells whether its path is
// still the known one (after_probe()); a peer that does not answer within a second is held down.
// Without connections nothing is probed. Lives on the loop's thread.
class Prober final {
 public:
  // All outlive the prober.
  Prober(EventLoop& loop, Chooser& chooser, const Names& names);
  ~Prober();

  void begin() { wait(); }

 private:
  class Probe;

  void wait();
  void turn();

  EventLoop& loop_;
  Chooser& chooser_;
  const Names& names_;
  std::uint64_t connections_at_last_probe_ = 0;
  std::shared_ptr<Probe> probe_;  // the latest one, perhaps under way
  EventLoop::TimerKey timer_{};
};

}  // namespace mutua::resolver
