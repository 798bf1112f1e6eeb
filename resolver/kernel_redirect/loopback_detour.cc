#include "resolver/kernel_redirect/loopback_detour.h"

#include <linux/fib_rules.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "resolver/redirect/route_request.h"

namespace mutua::resolver {
namespace {

constexpr std::uint8_t kTable = 109;            // 'm'
constexpr std::uint32_t kRulePriority = 27765;  // after the local table's, before the main one's

// 0 or an errno.
int change_rule(std::uint16_t type, unsigned flags) {
  RouteRequest request(type, flags, AF_INET6);
  fib_rule_hdr rule{};
  rule.family = AF_INET6;
  rule.table = kTable;
  rule.action = FR_ACT_TO_TBL;
  request.set(rule);
  constexpr std::array<std::uint8_t, 3> loopback = {'l', 'o', 0};
  request.add(FRA_OIFNAME, loopback);
  request.add(FRA_PRIORITY, kRulePriority);
  return change(request);
}

}  // namespace

Result<LoopbackDetour> LoopbackDetour::make() {
  const auto anywhere = TRY(SocketAddress::parse("[::]:0"));
  auto route = TRY(LocalRoute::add(anywhere, 0, kTable));
  const int problem = change_rule(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL);
  if (problem != 0 && problem != EEXIST)
    return errno_error(problem, "lead IPv6 sockets of the loopback interface back here");
  return LoopbackDetour(std::move(route));
}

LoopbackDetour::~LoopbackDetour() {
  if (has_rule_) change_rule(RTM_DELRULE, 0);
}

}  // namespace mutua::resolver
