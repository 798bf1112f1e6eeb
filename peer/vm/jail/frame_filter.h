#pragma once

#include <set>

#include "peer/vm/jail/ethernet.h"
#include "peer/vm/machine.h"

namespace mutua::vm {

// Decides about each frame that a guest sends. libslirp's own `restricted` mode is the second
// line; this is the first, and the only one that keeps a guest with outbound access away from the
// host and from private networks.
class FrameFilter {
 public:
  struct Policy {
    std::uint32_t guest_address = 0;
    Outbound outbound = Outbound::no;
    std::set<std::uint16_t> udp_ports;       // the guest's mapped ones
    std::set<std::uint32_t> host_addresses;  // the host's own, never a destination
  };

  enum class Verdict {
    drop,
    to_network,      // for libslirp
    to_udp_clients,  // an answer from a mapped UDP port
    answer_arp,      // the virtual network answers for every address but the guest's
    sign_of_life,    // the guest tells its address; there is nothing to answer
  };

  explicit FrameFilter(Policy policy) : policy_(std::move(policy)) {}

  Verdict judge(BytesView frame) const;

 private:
  bool may_reach(std::uint32_t destination) const;

  Policy policy_;
};

// Unicast on the public Internet: none of the private, shared, loopback, link-local, documentation,
// multicast and reserved blocks of the IANA registry (RFC 6890).
bool is_public(std::uint32_t address);

}  // namespace mutua::vm
