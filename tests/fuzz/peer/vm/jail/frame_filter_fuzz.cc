// Any octets as a frame from a guest: judged without a crash, and a guest without outbound access
// opens no connection and reaches no address of the host.
#include "base/assert.h"
#include "peer/vm/jail/frame_filter.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mutua;
  using namespace mutua::vm;
  using namespace mutua::vm;
  const BytesView frame(data, size);
  const std::uint32_t guest = 0x0a000001;
  FrameFilter::Policy closed{.guest_address = guest,
                             .outbound = Outbound::no,
                             .udp_ports = {53},
                             .host_addresses = {0xc0000201}};
  FrameFilter::Policy open = closed;
  open.outbound = Outbound::yes;
  const auto verdict = FrameFilter(closed).judge(frame);
  const auto with_outbound = FrameFilter(open).judge(frame);
  const auto packet = parse_ipv4_frame(frame);
  if (verdict == FrameFilter::Verdict::to_network && packet && packet->protocol == kProtocolTcp) {
    const auto start = parse_tcp_start(packet->payload);
    BASE_ASSERT(!start || !start->opens_connection);
  }
  if (with_outbound == FrameFilter::Verdict::to_network && packet &&
      packet->protocol == kProtocolTcp) {
    const auto start = parse_tcp_start(packet->payload);
    BASE_ASSERT(!start || !start->opens_connection || packet->destination != 0xc0000201);
  }
  if (packet) (void)parse_udp(packet->payload);
  if (const auto arp = parse_arp(frame); arp) (void)arp_reply(*arp, gateway_mac());
  return 0;
}
