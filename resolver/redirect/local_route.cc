#include "resolver/redirect/local_route.h"

#include <net/if.h>

#include <cerrno>

#include "resolver/redirect/route_request.h"

namespace mutua::resolver {
namespace {

// 0 or an errno.
int change_route(std::uint16_t type, unsigned flags, const SocketAddress& network,
                 unsigned prefix_length, std::uint8_t table) {
  RouteRequest request(type, flags, network.family());
  request.route.rtm_dst_len = static_cast<std::uint8_t>(prefix_length);
  request.route.rtm_table = table;
  request.route.rtm_type = RTN_LOCAL;
  request.route.rtm_scope = RT_SCOPE_HOST;
  request.route.rtm_protocol = RTPROT_STATIC;
  if (prefix_length > 0) request.add(RTA_DST, network.address_octets());
  request.add(RTA_OIF, if_nametoindex("lo"));
  return change(request);
}

}  // namespace

Result<LocalRoute> LocalRoute::add(const SocketAddress& network, unsigned prefix_length,
                                   std::uint8_t table) {
  const int problem =
      change_route(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, network, prefix_length, table);
  if (problem == EEXIST) return LocalRoute(std::nullopt);
  if (problem == 0) return LocalRoute(Range{network, prefix_length, table});
  return errno_error(problem, "add a local route to " + network.address_to_text() + "/" +
                                  std::to_string(prefix_length));
}

LocalRoute::~LocalRoute() {
  if (added_) change_route(RTM_DELROUTE, 0, added_->network, added_->prefix_length, added_->table);
}

bool is_local(const SocketAddress& address) {
  RouteRequest request(RTM_GETROUTE, 0, address.family());
  request.route.rtm_dst_len = static_cast<std::uint8_t>(address.address_octets().size() * 8);
  request.add(RTA_DST, address.address_octets());
  const auto route = body_of<rtmsg>(exchange(request), RTM_NEWROUTE);
  return route && route->rtm_type == RTN_LOCAL;
}

}  // namespace mutua::resolver
