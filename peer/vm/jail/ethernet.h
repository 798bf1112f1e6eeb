#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"

namespace mutua::vm {

// The frames between a guest and its virtual network, both read and written. Addresses are numbers
// in host byte order. Everything here is pure; a guest's bytes are a stranger's.

// "10.0.0.1"; the text must be valid.
std::uint32_t parse_address(const std::string& text);
std::string print_address(std::uint32_t address);

using MacAddress = std::array<std::uint8_t, 6>;

inline constexpr std::size_t kEthernetHeaderBytes = 14;
inline constexpr std::size_t kIpv4HeaderBytes = 20;
inline constexpr std::size_t kUdpHeaderBytes = 8;
inline constexpr std::size_t kLargestDatagramBytes = 1500 - kIpv4HeaderBytes - kUdpHeaderBytes;

inline constexpr std::uint8_t kProtocolIcmp = 1;
inline constexpr std::uint8_t kProtocolTcp = 6;
inline constexpr std::uint8_t kProtocolUdp = 17;

// The virtual network, the same for every machine.
inline constexpr std::uint32_t kNetwork = 0x0a000000;  // 10.0.0.0/8
inline constexpr std::uint32_t kNetworkMask = 0xff000000;
inline constexpr std::uint32_t kGatewayAddress = 0x0afffffe;  // 10.255.255.254
inline constexpr std::uint32_t kDnsAddress = 0x0afffffd;      // 10.255.255.253

// Derived from the guest's address: stable over restarts and restores, and locally administered.
MacAddress guest_mac(std::uint32_t address);
std::string print_mac(const MacAddress& mac);  // "02:00:0a:00:00:01"
// libslirp's own for its address.
MacAddress gateway_mac();

struct Ipv4Packet {
  std::uint32_t source = 0;
  std::uint32_t destination = 0;
  std::uint8_t protocol = 0;
  BytesView payload;
};

// A whole IPv4 packet without options and not a fragment; everything else is refused, since no
// sane guest on this link sends it.
std::optional<Ipv4Packet> parse_ipv4_frame(BytesView frame);

struct UdpDatagram {
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  BytesView payload;
};
std::optional<UdpDatagram> parse_udp(BytesView ip_payload);

struct TcpStart {
  std::uint16_t source_port = 0;
  bool opens_connection = false;  // SYN without ACK
};
std::optional<TcpStart> parse_tcp_start(BytesView ip_payload);

struct ArpMessage {
  bool asks = false;  // a request; otherwise a reply
  MacAddress sender_mac{};
  std::uint32_t sender = 0;
  std::uint32_t target = 0;
};
std::optional<ArpMessage> parse_arp(BytesView frame);

bool is_arp(BytesView frame);

// "`target` is at `mac`", addressed to the asker.
Bytes arp_reply(const ArpMessage& request, const MacAddress& mac);
// "Who is `target`?", from the gateway to everyone.
Bytes arp_request(std::uint32_t target);
// "I am `address`, at `mac`", to everyone.
Bytes gratuitous_arp(std::uint32_t address, const MacAddress& mac);

struct UdpEndpoint {
  std::uint32_t address = 0;
  std::uint16_t port = 0;
};
// At most kLargestDatagramBytes of payload.
Bytes udp_frame(const MacAddress& to_mac, const MacAddress& from_mac, const UdpEndpoint& from,
                const UdpEndpoint& to, BytesView payload);

}  // namespace mutua::vm
