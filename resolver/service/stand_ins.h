#pragma once

#include <memory>
#include <vector>

#include "resolver/event_loop/event_loop.h"
#include "resolver/redirect/connect_redirect.h"
#include "resolver/redirect/relay.h"

namespace mutua::resolver {

// Brings a ConnectRedirect's stand-ins to the relay when their programs have turned to them, and
// closes those that no program has turned to in time. Lives on the loop's thread.
class StandIns {
 public:
  // All outlive the object.
  StandIns(EventLoop& loop, ConnectRedirect& redirect, Relay& relay);
  ~StandIns();

  // Takes the new ones.
  void take();

 private:
  class Waiting;
  void end(Waiting& waiting);

  EventLoop& loop_;
  ConnectRedirect& redirect_;
  Relay& relay_;
  std::vector<std::shared_ptr<Waiting>> waiting_;
};

}  // namespace mutua::resolver
