#include "resolver/kernel_redirect/peer_interfaces.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "resolver/redirect/route_request.h"

namespace mutua::resolver {
namespace {

constexpr std::uint32_t kLoopback = 1;  // in every network namespace
constexpr int kReadInOneTurn = 64;      // notices, each of up to some dozens of changes

constexpr std::array kGroups = {
    RTNLGRP_LINK,       RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
    RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE,   RTNLGRP_IPV6_RULE,   RTNLGRP_NEIGH,
};

// Whether the link-layer address of `next_hop` is known, or not needed.
bool is_within_reach(std::uint32_t interface, int family, BytesView next_hop) {
  ifreq link{};
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket || if_indextoname(interface, link.ifr_name) == nullptr ||
      ioctl(socket.get(), SIOCGIFFLAGS, &link) != 0)
    return false;
  if ((link.ifr_flags & (IFF_LOOPBACK | IFF_NOARP)) != 0) return true;
  RouteRequest request(RTM_GETNEIGH, 0, family);
  ndmsg wanted{};
  wanted.ndm_family = static_cast<std::uint8_t>(family);
  wanted.ndm_ifindex = static_cast<int>(interface);
  request.set(wanted);
  request.add(NDA_DST, next_hop);
  const auto neighbour = body_of<ndmsg>(exchange(request), RTM_NEWNEIGH);
  return neighbour && (neighbour->ndm_state & (NUD_NONE | NUD_INCOMPLETE | NUD_FAILED)) == 0;
}

std::optional<std::uint32_t> interface_to(const SocketAddress& peer) {
  const BytesView address = peer.address_octets();
  RouteRequest request(RTM_GETROUTE, 0, peer.family());
  request.route.rtm_dst_len = static_cast<std::uint8_t>(address.size() * 8);
  request.add(RTA_DST, address);
  const Bytes reply = exchange(request);
  const auto route = body_of<rtmsg>(reply, RTM_NEWROUTE);
  if (!route) return std::nullopt;
  if (route->rtm_type == RTN_LOCAL) return kLoopback;
  std::uint32_t interface = 0;
  const auto outgoing = attribute_in(reply, RTA_OIF, sizeof interface);
  if (route->rtm_type != RTN_UNICAST || !outgoing) return std::nullopt;
  std::memcpy(&interface, outgoing->data(), sizeof interface);
  const auto gateway = attribute_in(reply, RTA_GATEWAY, address.size());
  if (!is_within_reach(interface, peer.family(), gateway.value_or(address))) return std::nullopt;
  return interface;
}

}  // namespace

Result<PeerInterfaces> PeerInterfaces::create() {
  UniqueFd changes(::socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE));
  sockaddr_nl own{};
  own.nl_family = AF_NETLINK;  // unbound, it would be taken for the kernel's own, and told nothing
  if (!changes || bind(changes.get(), reinterpret_cast<sockaddr*>(&own), sizeof own) != 0)
    return errno_error(errno, "hear of changed routes");
  for (const int group : kGroups) {
    if (setsockopt(changes.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0)
      return errno_error(errno, "hear of changed routes");
  }
  return PeerInterfaces(std::move(changes));
}

bool PeerInterfaces::refresh() {
  bool changed = false;
  std::array<char, 8192> notice;
  for (int i = 0; i < kReadInOneTurn; ++i) {
    const auto received = recv(changes_.get(), notice.data(), notice.size(), 0);
    // ENOBUFS: some are lost, which is as good as heard.
    if (received < 0 && errno != ENOBUFS) break;
    changed = true;
  }
  if (changed) known_.clear();
  return changed;
}

std::optional<std::uint32_t> PeerInterfaces::to(const SocketAddress& peer) {
  SocketAddress address = peer;
  address.set_port(0);
  if (const auto known = known_.find(address); known != known_.end()) return known->second;
  if (known_.size() >= kMostKnown) known_.clear();
  return known_[address] = interface_to(address);
}

}  // namespace mutua::resolver
