#include "resolver/redirect/route_request.h"

#include <sys/socket.h>

#include <cerrno>

#include "base/assert.h"
#include "base/unique_fd.h"

namespace mutua::resolver {

RouteRequest::RouteRequest(std::uint16_t type, unsigned flags, int family) {
  header.nlmsg_len = NLMSG_LENGTH(sizeof route);
  header.nlmsg_type = type;
  header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  route.rtm_family = static_cast<std::uint8_t>(family);
}

void RouteRequest::add(std::uint16_t type, BytesView value) {
  const std::size_t used = header.nlmsg_len - NLMSG_LENGTH(sizeof route);
  BASE_ASSERT(used + RTA_SPACE(value.size()) <= sizeof attributes);
  rtattr attribute{static_cast<std::uint16_t>(RTA_LENGTH(value.size())), type};
  std::uint8_t* place = attributes + used;
  std::memcpy(place, &attribute, sizeof attribute);
  std::memcpy(place + RTA_LENGTH(0), value.data(), value.size());
  header.nlmsg_len += static_cast<std::uint32_t>(RTA_SPACE(value.size()));
}

void RouteRequest::add(std::uint16_t type, std::uint32_t value) {
  add(type, BytesView(reinterpret_cast<const std::uint8_t*>(&value), sizeof value));
}

Bytes exchange(const RouteRequest& request) {
  const UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket || send(socket.get(), &request, request.header.nlmsg_len, 0) < 0) return {};
  Bytes reply(4096);
  // The kernel has answered before send() returns.
  const auto received = recv(socket.get(), reply.data(), reply.size(), MSG_DONTWAIT);
  reply.resize(received > 0 ? static_cast<std::size_t>(received) : 0);
  return reply;
}

int change(RouteRequest request) {
  request.header.nlmsg_flags |= NLM_F_ACK;
  const auto error = body_of<nlmsgerr>(exchange(request), NLMSG_ERROR);
  return error ? -error->error : EPROTO;
}

std::optional<BytesView> attribute_in(const Bytes& reply, std::uint16_t type, std::size_t size) {
  std::size_t at = NLMSG_LENGTH(sizeof(rtmsg));
  while (at + sizeof(rtattr) <= reply.size()) {
    rtattr attribute{};
    std::memcpy(&attribute, reply.data() + at, sizeof attribute);
    if (attribute.rta_len < sizeof attribute || at + attribute.rta_len > reply.size()) break;
    if (attribute.rta_type == type && attribute.rta_len == RTA_LENGTH(size))
      return BytesView(reply).subspan(at + RTA_LENGTH(0), size);
    at += RTA_ALIGN(attribute.rta_len);
  }
  return std::nullopt;
}

}  // namespace mutua::resolver
