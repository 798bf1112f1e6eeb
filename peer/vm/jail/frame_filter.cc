#include "peer/vm/jail/frame_filter.h"

#include <algorithm>

namespace mutua::vm {
namespace {

struct Prefix {
  std::uint32_t address;
  unsigned bits;
};

constexpr Prefix kNotPublic[] = {
    {0x00000000, 8},   // 0.0.0.0/8        this network
    {0x0a000000, 8},   // 10.0.0.0/8       private
    {0x64400000, 10},  // 100.64.0.0/10    shared
    {0x7f000000, 8},   // 127.0.0.0/8      loopback
    {0xa9fe0000, 16},  // 169.254.0.0/16   link-local, clouds' metadata services
    {0xac100000, 12},  // 172.16.0.0/12    private
    {0xc0000000, 24},  // 192.0.0.0/24     protocol assignments
    {0xc0000200, 24},  // 192.0.2.0/24     documentation
    {0xc0586300, 24},  // 192.88.99.0/24   former 6to4 relays
    {0xc0a80000, 16},  // 192.168.0.0/16   private
    {0xc6120000, 15},  // 198.18.0.0/15    benchmarks
    {0xc6336400, 24},  // 198.51.100.0/24  documentation
    {0xcb007100, 24},  // 203.0.113.0/24   documentation
    {0xe0000000, 3},   // 224.0.0.0/3      multicast, reserved, broadcast
};

}  // namespace

bool is_public(std::uint32_t address) {
  return std::none_of(std::begin(kNotPublic), std::end(kNotPublic), [address](const Prefix& block) {
    return (address ^ block.address) >> (32 - block.bits) == 0;
  });
}

bool FrameFilter::may_reach(std::uint32_t destination) const {
  return policy_.outbound == Outbound::yes && is_public(destination) &&
         !policy_.host_addresses.contains(destination);
}

FrameFilter::Verdict FrameFilter::judge(BytesView frame) const {
  if (is_arp(frame)) {
    const auto message = parse_arp(frame);
    if (!message || message->sender != policy_.guest_address) return Verdict::drop;
    const bool answer = message->asks && message->target != policy_.guest_address;
    return answer ? Verdict::answer_arp : Verdict::sign_of_life;
  }
  const auto packet = parse_ipv4_frame(frame);
  if (!packet || packet->source != policy_.guest_address) return Verdict::drop;

  const bool asks_dns = policy_.outbound == Outbound::yes && packet->destination == kDnsAddress;
  const bool reachable = may_reach(packet->destination);
  switch (packet->protocol) {
    case kProtocolTcp: {
      const auto start = parse_tcp_start(packet->payload);
      if (!start) return Verdict::drop;
      // libslirp matches everything but a SYN against connections that exist; those came in by a
      // mapped port from anywhere, or went out past this filter.
      if (!start->opens_connection) return Verdict::to_network;
      const bool dns_port = load_u16(packet->payload.data() + 2) == 53;
      return reachable || (asks_dns && dns_port) ? Verdict::to_network : Verdict::drop;
    }
    case kProtocolUdp: {
      const auto datagram = parse_udp(packet->payload);
      if (!datagram) return Verdict::drop;
      if (policy_.udp_ports.contains(datagram->source_port)) return Verdict::to_udp_clients;
      const bool dns_port = datagram->destination_port == 53;
      return reachable || (asks_dns && dns_port) ? Verdict::to_network : Verdict::drop;
    }
    case kProtocolIcmp:
      return reachable || packet->destination == kGatewayAddress ? Verdict::to_network
                                                                 : Verdict::drop;
    default:
      return Verdict::drop;
  }
}

}  // namespace mutua::vm
