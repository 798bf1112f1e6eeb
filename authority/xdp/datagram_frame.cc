#include "authority/xdp/datagram_frame.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace mutua::authority {
namespace {

//   Ethernet   destination (6) | source (6) | type (2)
//   IPv4       version, length | TOS | size (2) | id (2) | fragment (2) | TTL | protocol | checksum (2)
//              | source (4) | destination (4)
//   IPv6       version, class, flow (4) | size of what follows (2) | next | hop limit
//              | source (16) | destination (16)
//   UDP        source port (2) | destination port (2) | size (2) | checksum (2)
constexpr std::size_t kMacSize = 6, kEthernetSize = 14, kUdpSize = 8;
constexpr std::size_t kIpv4Size = 20, kIpv6Size = 40;
constexpr std::uint16_t kTypeIpv4 = 0x0800, kTypeIpv6 = 0x86dd;
constexpr std::uint8_t kProtocolUdp = 17;
constexpr std::uint8_t kHopLimit = 64;
constexpr std::uint16_t kFragmentBits = 0x3fff, kDoNotFragment = 0x4000;

bool can_be_answered(BytesView source) {
  if (source.size() == 4) return source[0] != 0 && source[0] != 127 && source[0] < 224;
  const bool is_multicast = source[0] == 0xff;
  const bool is_unspecified_or_loopback =
      std::all_of(source.begin(), source.end() - 1,
                  [](std::uint8_t octet) { return octet == 0; }) &&
      source.back() <= 1;
  return !is_multicast && !is_unspecified_or_loopback;
}

// The sum of RFC 1071, by eight octets at a time; the carries are added at the end.
std::uint64_t sum(std::uint64_t so_far, BytesView octets) {
  const auto add = [&](std::uint64_t word) {
    so_far += word;
    so_far += so_far < word ? 1 : 0;
  };
  std::size_t at = 0;
  for (std::uint64_t word = 0; octets.size() - at >= sizeof word; at += sizeof word) {
    std::memcpy(&word, octets.data() + at, sizeof word);
    add(word);
  }
  if (at == octets.size()) return so_far;
  std::uint64_t rest = 0;
  std::memcpy(&rest, octets.data() + at, octets.size() - at);
  add(rest);
  return so_far;
}

// In the order of the octets that were summed.
std::uint16_t folded(std::uint64_t total) {
  total = (total & 0xffffffff) + (total >> 32);
  total = (total & 0xffffffff) + (total >> 32);
  total = (total & 0xffff) + (total >> 16);
  total = (total & 0xffff) + (total >> 16);
  return static_cast<std::uint16_t>(~total);
}

void put_checksum(std::uint8_t* at, std::uint16_t checksum) {
  std::memcpy(at, &checksum, sizeof checksum);
}

std::size_t ip_size(const DatagramFrame& request) {
  return request.source.size() == 4 ? kIpv4Size : kIpv6Size;
}

void put_ipv4(std::uint8_t* ip, const DatagramFrame& request, std::size_t udp_size) {
  std::fill_n(ip, kIpv4Size, std::uint8_t{0});
  ip[0] = 0x45;
  store_u16(ip + 2, static_cast<std::uint16_t>(kIpv4Size + udp_size));
  store_u16(ip + 6, kDoNotFragment);  // RFC 9715: an answer is not to come in fragments
  ip[8] = kHopLimit;
  ip[9] = kProtocolUdp;
  std::copy(request.destination.begin(), request.destination.end(), ip + 12);
  std::copy(request.source.begin(), request.source.end(), ip + 16);
  put_checksum(ip + 10, folded(sum(0, {ip, kIpv4Size})));
}

void put_ipv6(std::uint8_t* ip, const DatagramFrame& request, std::size_t udp_size) {
  store_u32(ip, 0x60000000);
  store_u16(ip + 4, static_cast<std::uint16_t>(udp_size));
  ip[6] = kProtocolUdp;
  ip[7] = kHopLimit;
  std::copy(request.destination.begin(), request.destination.end(), ip + 8);
  std::copy(request.source.begin(), request.source.end(), ip + 24);
}

// Over the pseudo-header, which has the same sum for IPv4 and IPv6, the header and the response.
void put_udp(std::uint8_t* udp, const DatagramFrame& request, std::size_t udp_size) {
  store_u16(udp, request.destination_port);
  store_u16(udp + 2, request.source_port);
  store_u16(udp + 4, static_cast<std::uint16_t>(udp_size));
  store_u16(udp + 6, 0);
  std::array<std::uint8_t, 4> rest{0, kProtocolUdp, 0, 0};
  store_u16(rest.data() + 2, static_cast<std::uint16_t>(udp_size));
  std::uint64_t total = sum(sum(sum(0, request.source), request.destination), rest);
  total = sum(total, {udp, udp_size});
  const std::uint16_t checksum = folded(total);
  put_checksum(udp + 6, checksum == 0 ? 0xffff : checksum);  // 0 would say that there is none
}

}  // namespace

std::optional<DatagramFrame> read_datagram(BytesView frame) {
  if (frame.size() < kEthernetSize) return std::nullopt;
  const std::uint16_t type = load_u16(frame.data() + 12);
  const BytesView ip = frame.subspan(kEthernetSize);
  DatagramFrame datagram{};
  std::size_t header = 0, size = 0;  // of the IP packet
  if (type == kTypeIpv4) {
    header = kIpv4Size;
    if (ip.size() < header || ip[0] != 0x45 || ip[9] != kProtocolUdp) return std::nullopt;
    if ((load_u16(ip.data() + 6) & kFragmentBits) != 0) return std::nullopt;
    size = load_u16(ip.data() + 2);
    datagram.source = ip.subspan(12, 4);
    datagram.destination = ip.subspan(16, 4);
  } else if (type == kTypeIpv6) {
    header = kIpv6Size;
    if (ip.size() < header || ip[0] >> 4 != 6 || ip[6] != kProtocolUdp) return std::nullopt;
    size = header + load_u16(ip.data() + 4);
    datagram.source = ip.subspan(8, 16);
    datagram.destination = ip.subspan(24, 16);
  } else {
    return std::nullopt;
  }
  if (size > ip.size() || size < header + kUdpSize) return std::nullopt;
  const std::uint8_t* udp = ip.data() + header;
  const std::size_t udp_size = load_u16(udp + 4);
  if (udp_size < kUdpSize || udp_size > size - header) return std::nullopt;
  datagram.source_port = load_u16(udp);
  datagram.destination_port = load_u16(udp + 2);
  datagram.header_size = kEthernetSize + header + kUdpSize;
  datagram.message = frame.subspan(datagram.header_size, udp_size - kUdpSize);
  if (datagram.source_port == 0 || !can_be_answered(datagram.source)) return std::nullopt;
  return datagram;
}

std::size_t put_reply_headers(BytesView frame, const DatagramFrame& request,
                              std::span<std::uint8_t> out, std::size_t response_size) {
  const std::size_t udp_size = kUdpSize + response_size;
  std::copy_n(frame.begin() + kMacSize, kMacSize, out.begin());
  std::copy_n(frame.begin(), kMacSize, out.begin() + kMacSize);
  std::copy_n(frame.begin() + 2 * kMacSize, 2, out.begin() + 2 * kMacSize);
  std::uint8_t* ip = out.data() + kEthernetSize;
  if (request.source.size() == 4)
    put_ipv4(ip, request, udp_size);
  else
    put_ipv6(ip, request, udp_size);
  put_udp(ip + ip_size(request), request, udp_size);
  return request.header_size + response_size;
}

}  // namespace mutua::authority
