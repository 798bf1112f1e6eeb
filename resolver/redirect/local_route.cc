#include "resolver/redirect/local_route.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace mutua::resolver {
namespace {

struct RouteRequest {
  nlmsghdr header{};
  rtmsg route{};
  std::uint8_t attributes[64] = {};

  RouteRequest(std::uint16_t type, std::uint16_t flags, int family, unsigned prefix_length) {
    header.nlmsg_len = NLMSG_LENGTH(sizeof route);
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    route.rtm_family = static_cast<std::uint8_t>(family);
    route.rtm_dst_len = static_cast<std::uint8_t>(prefix_length);
    route.rtm_table = RT_TABLE_LOCAL;
    route.rtm_type = RTN_LOCAL;
    route.rtm_scope = RT_SCOPE_HOST;
    route.rtm_protocol = RTPROT_STATIC;
  }

  void add(std::uint16_t type, BytesView value) {
    rtattr attribute{static_cast<std::uint16_t>(RTA_LENGTH(value.size())), type};
    std::uint8_t* place = attributes + (header.nlmsg_len - NLMSG_LENGTH(sizeof route));
    std::memcpy(place, &attribute, sizeof attribute);
    std::memcpy(place + RTA_LENGTH(0), value.data(), value.size());
    header.nlmsg_len += static_cast<std::uint32_t>(RTA_SPACE(value.size()));
  }
};
static_assert(offsetof(RouteRequest, attributes) == NLMSG_LENGTH(sizeof(rtmsg)));

// The kernel's reply to one request, at most one message; empty where there is none.
Bytes exchange(const RouteRequest& request) {
  const UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket || send(socket.get(), &request, request.header.nlmsg_len, 0) < 0) return {};
  Bytes reply(4096);
  // The kernel has answered before send() returns.
  const auto received = recv(socket.get(), reply.data(), reply.size(), MSG_DONTWAIT);
  reply.resize(received > 0 ? static_cast<std::size_t>(received) : 0);
  return reply;
}

// The reply's body, where it is of `type`.
template <typename Body>
std::optional<Body> body_of(const Bytes& reply, std::uint16_t type) {
  if (reply.size() < NLMSG_LENGTH(sizeof(Body))) return std::nullopt;
  nlmsghdr header{};
  std::memcpy(&header, reply.data(), sizeof header);
  if (header.nlmsg_type != type) return std::nullopt;
  Body body{};
  std::memcpy(&body, reply.data() + NLMSG_LENGTH(0), sizeof body);
  return body;
}

// 0 or an errno.
int change_route(std::uint16_t type, std::uint16_t flags, const SocketAddress& network,
                 unsigned prefix_length) {
  RouteRequest request(type, flags, network.family(), prefix_length);
  const unsigned loopback = if_nametoindex("lo");
  request.add(RTA_DST, network.address_octets());
  request.add(RTA_OIF,
              BytesView(reinterpret_cast<const std::uint8_t*>(&loopback), sizeof loopback));
  const auto error = body_of<nlmsgerr>(exchange(request), NLMSG_ERROR);
  return error ? -error->error : EPROTO;
}

}  // namespace

Result<LocalRoute> LocalRoute::add(const SocketAddress& network, unsigned prefix_length) {
  const int problem = change_route(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, network, prefix_length);
  if (problem == EEXIST) return LocalRoute(std::nullopt);
  if (problem == 0) return LocalRoute(Range{network, prefix_length});
  return errno_error(problem, "add a local route to " + network.address_to_text() + "/" +
                                  std::to_string(prefix_length));
}

LocalRoute::~LocalRoute() {
  if (added_) change_route(RTM_DELROUTE, 0, added_->network, added_->prefix_length);
}

bool is_local(const SocketAddress& address) {
  const auto length = static_cast<unsigned>(address.address_octets().size() * 8);
  RouteRequest request(RTM_GETROUTE, 0, address.family(), length);
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.add(RTA_DST, address.address_octets());
  const auto route = body_of<rtmsg>(exchange(request), RTM_NEWROUTE);
  return route && route->rtm_type == RTN_LOCAL;
}

}  // namespace mutua::resolver
