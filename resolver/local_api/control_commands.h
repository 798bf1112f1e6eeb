#pragma once

#include <boost/json/object.hpp>

#include "base/result.h"
#include "resolver/authorities/authorities.h"
#include "resolver/authorities/zone_client.h"
#include "resolver/discovery/discovery.h"
#include "resolver/event_loop/event_loop.h"
#include "resolver/mirror/mirror.h"
#include "resolver/redirect/relay.h"
#include "resolver/service/chooser.h"
#include "resolver/service/connect_routes.h"
#include "resolver/service/names.h"

namespace mutua::resolver {

// The commands of the control socket (lib/control), each answered with one object:
//   {"command":"lookup","host":"blog.fed.example","port":80,"transport":"tcp"}
//      -> {"host", "canonical", "held", "address", "ports":["80/tcp"], "candidates":[{"address",
//          "target","priority","weight","standing":"unvisited|measured|doubted|held","why","visits",
//          "rtt_ms","bandwidth_mbit_s","predicted_ms","consecutive_failures","last_failure"}…]}
//      the best candidate first; what was not measured is left out. A lookup is no visit.
//   {"command":"status"} -> {"redirect":"kernel|relay","services_in_kernel","handed_over",
//          "interfaces":["eth0"…],"names","listeners","connections","peers","cached_descriptions",
//          "cached_lists","questions","failed_questions","authorities":[{"address",
//          "standing":"answers|away|untried","rtt_ms","last_failure"}…],"validates",
//          "proven_answers","refused_answers","zone_keys":[{"tag","algorithm","trust_anchor"}…],
//          "zone_keys_missing","mirror":{"serves","serial","names","proven_by":"zonemd|signatures",
//          "age_s","valid_until","last_failure"}}
//      "handed_over": connections that the kernel led to a peer which did not answer, and then to the
//      relay; "interfaces": those whose refusals are hidden.
//   {"command":"flush"}  -> {} ; forgets the cached lists, the zone's keys, and what was measured.
// handle() is called on any thread and waits at most 10 s for the loop.
class ControlCommands {
 public:
  // All outlive the commands.
  struct Parts {
    EventLoop& loop;
    const Authorities& authorities;
    ZoneClient& zone;
    const Mirror* mirror;  // null: there is none
    Discovery& discovery;
    HealthTable& health;
    Chooser& chooser;
    Names& names;
    Relay& relay;
    const ConnectRoutes* routes;  // null: everything goes through the relay
  };
  explicit ControlCommands(Parts parts) : parts_(parts) {}

  Result<boost::json::object> handle(const boost::json::object& request);

 private:
  Result<boost::json::object> lookup(const boost::json::object& request);
  Result<boost::json::object> status();
  Result<boost::json::object> flush();

  Parts parts_;
};

}  // namespace mutua::resolver
