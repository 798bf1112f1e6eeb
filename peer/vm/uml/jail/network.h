#pragma once

#include "base/unique_fd.h"
#include "peer/vm/machine.h"
#include "peer/vm/uml/control.h"
#include "peer/vm/uml/jail/jail.h"

namespace mutua::vm::uml {

// The process between one guest's Ethernet frames and the host's sockets: libslirp for TCP and for
// what goes out, UdpForward for mapped UDP ports, FrameFilter before both. It stays in the host's
// network namespace and shares nothing else with the host.
//
//   warden -> network   go         the ids are mapped and the limits set
//   network -> warden   bound      a port a line, in the spec's order
//                       alive      the guest has sent a first frame
//                       failed     why not
// End of file from the warden ends it.
[[noreturn]] void run_network(const MachineSpec& spec, const JailUser& user, Channel warden,
                              UniqueFd ethernet);

}  // namespace mutua::vm::uml
