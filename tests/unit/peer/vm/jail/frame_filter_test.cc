#include "peer/vm/jail/frame_filter.h"

#include <gtest/gtest.h>

namespace mutua::vm {
namespace {

using Verdict = FrameFilter::Verdict;

constexpr std::uint32_t kGuest = 0x0a000001;
constexpr std::uint32_t kPublic = 0x5db8d822;  // 93.184.216.34
constexpr std::uint32_t kLan = 0xc0a80105;     // 192.168.1.5
constexpr std::uint32_t kHost = 0xc1000001;    // the host's own public address
constexpr std::uint8_t kSyn = 0x02;
constexpr std::uint8_t kAck = 0x10;

Bytes udp(std::uint32_t from, std::uint32_t to, std::uint16_t from_port, std::uint16_t to_port) {
  return udp_frame(gateway_mac(), guest_mac(kGuest), {from, from_port}, {to, to_port},
                   as_bytes("hello"));
}

// A UDP frame rewritten: the filter looks at neither checksum.
Bytes tcp(std::uint32_t to, std::uint16_t from_port, std::uint16_t to_port, std::uint8_t flags) {
  Bytes frame =
      udp_frame(gateway_mac(), guest_mac(kGuest), {kGuest, from_port}, {to, to_port}, Bytes(12));
  frame[kEthernetHeaderBytes + 9] = kProtocolTcp;
  frame[kEthernetHeaderBytes + kIpv4HeaderBytes + 13] = flags;
  return frame;
}

FrameFilter make_filter(Outbound outbound) {
  FrameFilter::Policy policy;
  policy.guest_address = kGuest;
  policy.outbound = outbound;
  policy.udp_ports = {5353};
  policy.host_addresses = {kHost};
  return FrameFilter(policy);
}

TEST(FrameFilter, WithoutOutboundAGuestOpensNothing) {
  const FrameFilter filter = make_filter(Outbound::no);
  for (const std::uint32_t to : {kPublic, kLan, kHost, kGatewayAddress, kDnsAddress, 0x7f000001u}) {
    EXPECT_EQ(filter.judge(tcp(to, 80, 443, kSyn)), Verdict::drop) << print_address(to);
    EXPECT_EQ(filter.judge(udp(kGuest, to, 1000, 53)), Verdict::drop) << print_address(to);
    EXPECT_EQ(filter.judge(tcp(to, 80, 443, kSyn | kAck)), Verdict::to_network)
        << "an answer to a connection from outside";
  }
}

TEST(FrameFilter, WithOutboundAGuestReachesPublicAddressesAlone) {
  const FrameFilter filter = make_filter(Outbound::yes);
  EXPECT_EQ(filter.judge(tcp(kPublic, 1000, 443, kSyn)), Verdict::to_network);
  EXPECT_EQ(filter.judge(udp(kGuest, kPublic, 1000, 123)), Verdict::to_network);
  for (const char* text :
       {"0.0.0.0", "0.1.2.3", "10.0.0.2", "10.255.255.254", "100.64.0.1", "127.0.0.1",
        "127.200.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.168.1.5",
        "193.0.0.1", "198.18.0.1", "224.0.0.1", "239.1.1.1", "255.255.255.255"}) {
    const std::uint32_t to = parse_address(text);
    EXPECT_EQ(filter.judge(tcp(to, 80, 443, kSyn)), Verdict::drop) << text;
    EXPECT_EQ(filter.judge(udp(kGuest, to, 1000, 123)), Verdict::drop) << text;
  }
}

TEST(FrameFilter, DnsGoesToTheVirtualServerWithOutboundAlone) {
  const FrameFilter filter = make_filter(Outbound::yes);
  EXPECT_EQ(filter.judge(udp(kGuest, kDnsAddress, 1000, 53)), Verdict::to_network);
  EXPECT_EQ(filter.judge(tcp(kDnsAddress, 1000, 53, kSyn)), Verdict::to_network);
  EXPECT_EQ(filter.judge(udp(kGuest, kDnsAddress, 1000, 80)), Verdict::drop);
  EXPECT_EQ(make_filter(Outbound::no).judge(udp(kGuest, kDnsAddress, 1000, 53)), Verdict::drop);
}

TEST(FrameFilter, MappedUdpPortsAnswerTheirClients) {
  EXPECT_EQ(make_filter(Outbound::no).judge(udp(kGuest, kLan, 5353, 999)), Verdict::to_udp_clients);
}

TEST(FrameFilter, ForeignSourcesAreDropped) {
  const FrameFilter filter = make_filter(Outbound::yes);
  EXPECT_EQ(filter.judge(udp(kLan, kPublic, 1000, 123)), Verdict::drop);
  EXPECT_EQ(filter.judge(udp(0, 0xffffffff, 68, 67)), Verdict::drop);
}

TEST(FrameFilter, ArpIsAnsweredForEveryoneButTheGuest) {
  const FrameFilter filter = make_filter(Outbound::no);
  Bytes question = arp_request(kLan);
  // The same question, asked by the guest.
  store_u32(question.data() + kEthernetHeaderBytes + 14, kGuest);
  EXPECT_EQ(filter.judge(question), Verdict::answer_arp);
  EXPECT_EQ(filter.judge(gratuitous_arp(kGuest, guest_mac(kGuest))), Verdict::sign_of_life);
  EXPECT_EQ(filter.judge(gratuitous_arp(kLan, guest_mac(kGuest))), Verdict::drop);
}

TEST(FrameFilter, BrokenFramesAreDroppedAtEveryLength) {
  const FrameFilter filter = make_filter(Outbound::yes);
  for (const Bytes& whole : {udp(kGuest, kPublic, 1000, 53), tcp(kPublic, 1000, 80, kSyn),
                             udp(kGuest, kLan, 5353, 999), gratuitous_arp(kGuest, {})}) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      EXPECT_EQ(filter.judge(BytesView(whole).first(size)), Verdict::drop) << size;
    }
  }
}

TEST(FrameFilter, FragmentsOptionsAndOtherProtocolsAreDropped) {
  const FrameFilter filter = make_filter(Outbound::yes);
  const auto damaged = [](std::size_t at, std::uint8_t value) {
    Bytes frame = udp(kGuest, kPublic, 1000, 123);
    frame[kEthernetHeaderBytes + at] = value;
    return frame;
  };
  EXPECT_EQ(filter.judge(damaged(6, 0x40)), Verdict::to_network) << "undamaged";
  EXPECT_EQ(filter.judge(damaged(6, 0x20)), Verdict::drop) << "more fragments";
  EXPECT_EQ(filter.judge(damaged(7, 1)), Verdict::drop) << "a later fragment";
  EXPECT_EQ(filter.judge(damaged(0, 0x46)), Verdict::drop) << "options";
  EXPECT_EQ(filter.judge(damaged(0, 0x44)), Verdict::drop) << "a header too short";
  EXPECT_EQ(filter.judge(damaged(0, 0x65)), Verdict::drop) << "IPv6";
  EXPECT_EQ(filter.judge(damaged(9, 47)), Verdict::drop) << "GRE";
  EXPECT_EQ(filter.judge(damaged(2, 0xff)), Verdict::drop) << "longer than the frame";
}

TEST(Ethernet, UdpFramesCarryValidChecksums) {
  const Bytes frame = udp(kGuest, kPublic, 1000, 53);
  const auto sum = [](BytesView bytes, std::uint32_t start) {
    std::uint32_t total = start;
    for (std::size_t at = 0; at < bytes.size(); at += 2) {
      total += static_cast<std::uint32_t>(bytes[at]) << 8;
      if (at + 1 < bytes.size()) total += bytes[at + 1];
    }
    while (total >> 16 != 0) total = (total & 0xffff) + (total >> 16);
    return total;
  };
  const BytesView ip = BytesView(frame).subspan(kEthernetHeaderBytes);
  EXPECT_EQ(sum(ip.first(kIpv4HeaderBytes), 0), 0xffffu);
  const BytesView payload = ip.subspan(kIpv4HeaderBytes);
  EXPECT_EQ(sum(payload, sum(ip.subspan(12, 8), 17) + static_cast<std::uint32_t>(payload.size())),
            0xffffu);
}

}  // namespace
}  // namespace mutua::vm
