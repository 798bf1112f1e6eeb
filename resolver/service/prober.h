#pragma once

#include <map>
#include <memory>
#include <optional>

#include "base/unique_fd.h"
#include "resolver/event_loop/event_loop.h"
#include "resolver/service/chooser.h"
#include "resolver/service/names.h"

namespace mutua::resolver {

// Looks after the peers of the open TCP services that nobody uses at the moment. At most once a
// second each is connected to and reset again: those that have failed, when their hold is over, so
// that no user has to find out whether they are back (16 at a time); where there are none, after
// every eighth connection of this machine, the one heard of longest ago. Its round trip tells whether its path is still the known one
// (after_probe()); a peer that does not answer within a second is held down, twice as long each
// time. Lives on the loop's thread.
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
  std::vector<SocketAddress> whom_to_probe();

  EventLoop& loop_;
  Chooser& chooser_;
  const Names& names_;
  std::uint64_t connections_at_last_probe_ = 0;
  std::vector<std::shared_ptr<Probe>> probes_;  // the latest turn's, perhaps under way
  EventLoop::TimerKey timer_{};
};

}  // namespace mutua::resolver
