#include "peer/vm/jail/ethernet.h"

#include <arpa/inet.h>

#include <algorithm>

#include "base/assert.h"

namespace mutua::vm {
namespace {

constexpr std::uint16_t kTypeIpv4 = 0x0800;
constexpr std::uint16_t kTypeArp = 0x0806;
constexpr std::size_t kArpBytes = 28;
constexpr std::uint16_t kArpRequest = 1;
constexpr std::uint16_t kArpReply = 2;
constexpr MacAddress kBroadcast{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

std::uint16_t type_of(BytesView frame) {
  return frame.size() < kEthernetHeaderBytes ? std::uint16_t{0} : load_u16(frame.data() + 12);
}

void append_header(Bytes& out, const MacAddress& to, const MacAddress& from, std::uint16_t type) {
  append(out, to);
  append(out, from);
  append_u16(out, type);
}

// The Internet checksum's sum, not yet folded. RFC 1071.
std::uint32_t sum_words(BytesView bytes, std::uint32_t sum) {
  for (std::size_t at = 0; at + 1 < bytes.size(); at += 2) sum += load_u16(bytes.data() + at);
  if (bytes.size() % 2 != 0) sum += static_cast<std::uint32_t>(bytes.back()) << 8;
  return sum;
}

std::uint16_t fold(std::uint32_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

Bytes arp(const MacAddress& to, std::uint16_t operation, const MacAddress& sender_mac,
          std::uint32_t sender, const MacAddress& target_mac, std::uint32_t target) {
  Bytes out;
  append_header(out, to, sender_mac, kTypeArp);
  append_u16(out, 1);  // Ethernet
  append_u16(out, kTypeIpv4);
  append_u8(out, 6);
  append_u8(out, 4);
  append_u16(out, operation);
  append(out, sender_mac);
  append_u32(out, sender);
  append(out, target_mac);
  append_u32(out, target);
  return out;
}

}  // namespace

std::uint32_t parse_address(const std::string& text) {
  in_addr address{};
  BASE_ASSERT(inet_pton(AF_INET, text.c_str(), &address) == 1);
  return ntohl(address.s_addr);
}

std::string print_address(std::uint32_t address) {
  return std::to_string(address >> 24) + '.' + std::to_string(address >> 16 & 255) + '.' +
         std::to_string(address >> 8 & 255) + '.' + std::to_string(address & 255);
}

MacAddress guest_mac(std::uint32_t address) {
  return {0x02,
          0x00,
          static_cast<std::uint8_t>(address >> 24),
          static_cast<std::uint8_t>(address >> 16),
          static_cast<std::uint8_t>(address >> 8),
          static_cast<std::uint8_t>(address)};
}

std::string print_mac(const MacAddress& mac) {
  std::string text;
  for (const std::uint8_t byte : mac) {
    constexpr char digits[] = "0123456789abcdef";
    if (!text.empty()) text += ':';
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

MacAddress gateway_mac() {
  MacAddress mac = guest_mac(kGatewayAddress);
  mac[0] = 0x52;
  mac[1] = 0x55;
  return mac;
}

std::optional<Ipv4Packet> parse_ipv4_frame(BytesView frame) {
  if (type_of(frame) != kTypeIpv4) return std::nullopt;
  const BytesView packet = frame.subspan(kEthernetHeaderBytes);
  if (packet.size() < kIpv4HeaderBytes || packet[0] != 0x45) return std::nullopt;
  const std::size_t total = load_u16(packet.data() + 2);
  if (total < kIpv4HeaderBytes || total > packet.size()) return std::nullopt;
  // More fragments, or not the first one.
  if ((load_u16(packet.data() + 6) & 0x3fff) != 0) return std::nullopt;
  Ipv4Packet parsed;
  parsed.protocol = packet[9];
  parsed.source = load_u32(packet.data() + 12);
  parsed.destination = load_u32(packet.data() + 16);
  parsed.payload = packet.subspan(kIpv4HeaderBytes, total - kIpv4HeaderBytes);
  return parsed;
}

std::optional<UdpDatagram> parse_udp(BytesView ip_payload) {
  if (ip_payload.size() < kUdpHeaderBytes) return std::nullopt;
  const std::size_t length = load_u16(ip_payload.data() + 4);
  if (length < kUdpHeaderBytes || length > ip_payload.size()) return std::nullopt;
  UdpDatagram datagram;
  datagram.source_port = load_u16(ip_payload.data());
  datagram.destination_port = load_u16(ip_payload.data() + 2);
  datagram.payload = ip_payload.subspan(kUdpHeaderBytes, length - kUdpHeaderBytes);
  return datagram;
}

std::optional<TcpStart> parse_tcp_start(BytesView ip_payload) {
  constexpr std::size_t header_bytes = 20;
  constexpr std::uint8_t syn = 0x02;
  constexpr std::uint8_t ack = 0x10;
  if (ip_payload.size() < header_bytes) return std::nullopt;
  return TcpStart{load_u16(ip_payload.data()), (ip_payload[13] & (syn | ack)) == syn};
}

bool is_arp(BytesView frame) { return type_of(frame) == kTypeArp; }

std::optional<ArpMessage> parse_arp(BytesView frame) {
  if (!is_arp(frame) || frame.size() < kEthernetHeaderBytes + kArpBytes) return std::nullopt;
  const std::uint8_t* at = frame.data() + kEthernetHeaderBytes;
  const std::uint16_t operation = load_u16(at + 6);
  if (load_u16(at) != 1 || load_u16(at + 2) != kTypeIpv4 || at[4] != 6 || at[5] != 4 ||
      (operation != kArpRequest && operation != kArpReply)) {
    return std::nullopt;
  }
  ArpMessage message;
  message.asks = operation == kArpRequest;
  std::copy_n(at + 8, message.sender_mac.size(), message.sender_mac.begin());
  message.sender = load_u32(at + 14);
  message.target = load_u32(at + 24);
  return message;
}

Bytes arp_reply(const ArpMessage& request, const MacAddress& mac) {
  return arp(request.sender_mac, kArpReply, mac, request.target, request.sender_mac,
             request.sender);
}

Bytes arp_request(std::uint32_t target) {
  return arp(kBroadcast, kArpRequest, gateway_mac(), kGatewayAddress, MacAddress{}, target);
}

Bytes gratuitous_arp(std::uint32_t address, const MacAddress& mac) {
  return arp(kBroadcast, kArpRequest, mac, address, MacAddress{}, address);
}

Bytes udp_frame(const MacAddress& to_mac, const MacAddress& from_mac, const UdpEndpoint& from,
                const UdpEndpoint& to, BytesView payload) {
  BASE_ASSERT(payload.size() <= kLargestDatagramBytes);
  const auto udp_length = static_cast<std::uint16_t>(kUdpHeaderBytes + payload.size());
  Bytes out;
  out.reserve(kEthernetHeaderBytes + kIpv4HeaderBytes + udp_length);
  append_header(out, to_mac, from_mac, kTypeIpv4);
  append_u16(out, 0x4500);
  append_u16(out, static_cast<std::uint16_t>(kIpv4HeaderBytes + udp_length));
  append_u32(out, 0x00004000);  // no identification, do not fragment
  append_u8(out, 64);
  append_u8(out, kProtocolUdp);
  append_u16(out, 0);
  append_u32(out, from.address);
  append_u32(out, to.address);
  std::uint8_t* ip = out.data() + kEthernetHeaderBytes;
  store_u16(ip + 10, fold(sum_words({ip, kIpv4HeaderBytes}, 0)));

  const std::size_t udp_at = out.size();
  append_u16(out, from.port);
  append_u16(out, to.port);
  append_u16(out, udp_length);
  append_u16(out, 0);
  append(out, payload);
  // The sum covers both addresses, the protocol and the length as well. Zero would mean "no sum".
  const BytesView all = out;
  const std::uint32_t pseudo_header =
      sum_words(all.subspan(kEthernetHeaderBytes + 12, 8), kProtocolUdp + udp_length);
  const std::uint16_t sum = fold(sum_words(all.subspan(udp_at), pseudo_header));
  store_u16(out.data() + udp_at + 6, sum == 0 ? std::uint16_t{0xffff} : sum);
  return out;
}

}  // namespace mutua::vm
