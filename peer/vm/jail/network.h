#pragma once

#include "base/unique_fd.h"
#include "peer/vm/control.h"
#include "peer/vm/jail/jail.h"
#include "peer/vm/machine.h"

namespace mutua::vm {

// The process between one guest's Ethernet frames and the host's sockets: libslirp for TCP and for
// what goes out, UdpForward for mapped UDP ports, FrameFilter before both. It stays in the host's
// network namespace and shares nothing else with the host.
//
//   warden -> network   go         the spec's text; the ids are mapped and the limits set
//   network -> warden   bound      a port a line, in the spec's order
//                       alive      the guest has sent a first frame
//                       failed     why not
// End of file from the warden ends it.
[[noreturn]] void run_network(const JailUser& user, Channel warden, UniqueFd ethernet);

}  // namespace mutua::vm
