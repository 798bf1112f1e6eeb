#include "peer/vm/jail/udp_forward.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

namespace mutua::vm {
namespace {

constexpr std::uint32_t kGuest = 0x0a000001;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

bool readable(int fd, int milliseconds) {
  pollfd event{fd, POLLIN, 0};
  return ::poll(&event, 1, milliseconds) == 1;
}

TEST(UdpForward, CarriesADatagramInAndItsAnswerOut) {
  PortMapping mapping;
  mapping.protocol = Protocol::udp;
  mapping.guest_port = 53;
  auto forward = UdpForward::open(mapping, kGuest);
  ASSERT_TRUE(forward.ok()) << forward.error().message();
  ASSERT_NE(forward->bound().host_port, 0);

  const UniqueFd client(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const sockaddr_in host = loopback(forward->bound().host_port);
  ASSERT_EQ(
      ::sendto(client.get(), "ask", 3, 0, reinterpret_cast<const sockaddr*>(&host), sizeof host),
      3);
  ASSERT_TRUE(readable(forward->fd(), 5000));
  Bytes frame;
  forward->receive([&frame](BytesView sent) { frame = to_bytes(sent); });

  const auto packet = parse_ipv4_frame(frame);
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->source, kGatewayAddress) << "loopback means nothing inside the guest";
  EXPECT_EQ(packet->destination, kGuest);
  const auto datagram = parse_udp(packet->payload);
  ASSERT_TRUE(datagram);
  EXPECT_EQ(datagram->destination_port, 53);
  EXPECT_EQ(as_text(datagram->payload), "ask");

  const Bytes answer = udp_frame(gateway_mac(), guest_mac(kGuest), {kGuest, 53},
                                 {packet->source, datagram->source_port}, as_bytes("answer"));
  const auto answer_packet = parse_ipv4_frame(answer);
  forward->send(*answer_packet, *parse_udp(answer_packet->payload));
  ASSERT_TRUE(readable(client.get(), 5000));
  char buffer[16];
  EXPECT_EQ(::recv(client.get(), buffer, sizeof buffer, 0), 6);
}

TEST(UdpForward, AGuestReachesNobodyWhoDidNotWriteFirst) {
  PortMapping mapping;
  mapping.protocol = Protocol::udp;
  mapping.guest_port = 53;
  auto forward = UdpForward::open(mapping, kGuest);
  ASSERT_TRUE(forward.ok());
  const UniqueFd victim(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(victim.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::getsockname(victim.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::uint16_t port = ntohs(address.sin_port);
  for (const std::uint32_t to : {kGatewayAddress, std::uint32_t{INADDR_LOOPBACK}}) {
    const Bytes frame =
        udp_frame(gateway_mac(), guest_mac(kGuest), {kGuest, 53}, {to, port}, as_bytes("unasked"));
    const auto packet = parse_ipv4_frame(frame);
    forward->send(*packet, *parse_udp(packet->payload));
  }
  EXPECT_FALSE(readable(victim.get(), 100));
}

TEST(UdpForward, APortInUseIsRefused) {
  PortMapping mapping;
  mapping.protocol = Protocol::udp;
  mapping.guest_port = 53;
  const auto first = UdpForward::open(mapping, kGuest);
  ASSERT_TRUE(first.ok());
  mapping.host_port_first = mapping.host_port_last = first->bound().host_port;
  EXPECT_FALSE(UdpForward::open(mapping, kGuest).ok());
}

}  // namespace
}  // namespace mutua::vm
