#pragma once

#include <map>
#include <string>

#include "resolver/event_loop/event_loop.h"
#include "resolver/redirect/connect_redirect.h"
#include "resolver/service/chooser.h"
#include "resolver/service/names.h"
#include "resolver/service/stand_ins.h"

namespace mutua::resolver {

// Tells a ConnectRedirect where connections to the open names go, and the Chooser what became of
// them (of failures at once), and the Names which addresses are in use. Five times a second it
// compares, and whenever this machine's routes change: a service whose peers have all been visited goes straight to those that it can lead to,
// best first; one with a peer that nobody has visited, or without a healthy one, is the relay's, which
// measures and retries. At most 256 services are compared in one turn, the others wait for the next
// ones.
// Lives on the loop's thread.
class ConnectRoutes final : public EventLoop::Handler {
 public:
  // All outlive the routes.
  ConnectRoutes(EventLoop& loop, ConnectRedirect& redirect, Relay& relay, Chooser& chooser,
                Names& names);
  ~ConnectRoutes();

  Result<void> begin();
  void on_ready(std::uint32_t events) override;
  // Services that are led past the relay.
  std::size_t count() const { return led_.size(); }
  ConnectRedirect::Cover cover() const { return redirect_.cover(); }

 private:
  using Place = std::pair<Ipv4, std::uint16_t>;
  using Ways = std::vector<ConnectRedirect::Way>;

  void turn();
  void compare();
  void hear_reports();
  void lead(const Place& place, Ways ways);

  EventLoop& loop_;
  ConnectRedirect& redirect_;
  Chooser& chooser_;
  Names& names_;
  StandIns stand_ins_;
  std::map<Place, Ways> led_;
  std::map<SocketAddress, ConnectRedirect::Report> reports_;  // of the peers in led_, as last heard
  Place compared_;                                            // the last one of the latest turn
  EventLoop::TimerKey timer_{}, again_{};
};

}  // namespace mutua::resolver
