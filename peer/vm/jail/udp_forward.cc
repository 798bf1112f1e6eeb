#include "peer/vm/jail/udp_forward.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "peer/vm/jail/host_port.h"

namespace mutua::vm {
namespace {

constexpr std::size_t kMostClients = 4096;
// Datagrams a turn, so that one port does not starve the others.
constexpr int kBatch = 64;

bool is_loopback(std::uint32_t address) { return address >> 24 == 127; }

}  // namespace

Result<UdpForward> UdpForward::open(const PortMapping& mapping, std::uint32_t guest_address) {
  UniqueFd socket;
  const auto bind_port = [&](std::uint16_t port) -> Result<std::uint16_t> {
    socket.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return errno_error(errno, "socket");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    inet_pton(AF_INET, mapping.host_address.c_str(), &address.sin_addr);
    socklen_t size = sizeof address;
    if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      return errno_error(errno, "bind");
    }
    return ntohs(address.sin_port);
  };
  BoundPort bound;
  bound.protocol = Protocol::udp;
  bound.host_address = mapping.host_address;
  bound.host_port = TRY(choose_host_port(mapping, bind_port));
  bound.guest_port = mapping.guest_port;
  return UdpForward(std::move(socket), std::move(bound), guest_address);
}

void UdpForward::remember(const Client& client, std::uint32_t real_address) {
  if (clients_.size() >= kMostClients && !clients_.contains(client)) {
    clients_.erase(std::min_element(clients_.begin(), clients_.end(), [](auto& a, auto& b) {
      return a.second.last_used < b.second.last_used;
    }));
  }
  clients_[client] = Known{real_address, ++uses_};
}

void UdpForward::receive(const SendFrame& send_frame) {
  std::array<std::uint8_t, kLargestDatagramBytes + 1> datagram;
  for (int count = 0; count < kBatch; ++count) {
    sockaddr_in from{};
    socklen_t size = sizeof from;
    const ssize_t got = ::recvfrom(fd(), datagram.data(), datagram.size(), 0,
                                   reinterpret_cast<sockaddr*>(&from), &size);
    if (got < 0) return;
    const auto bytes = static_cast<std::size_t>(got);
    if (bytes > kLargestDatagramBytes) continue;
    const std::uint32_t real_address = ntohl(from.sin_addr.s_addr);
    const Client client{is_loopback(real_address) ? kGatewayAddress : real_address,
                        ntohs(from.sin_port)};
    remember(client, real_address);
    send_frame(udp_frame(guest_mac(guest_address_), gateway_mac(), {client.address, client.port},
                         {guest_address_, bound_.guest_port}, BytesView(datagram).first(bytes)));
  }
}

void UdpForward::send(const Ipv4Packet& packet, const UdpDatagram& datagram) {
  const auto known = clients_.find(Client{packet.destination, datagram.destination_port});
  if (known == clients_.end()) return;
  known->second.last_used = ++uses_;
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(datagram.destination_port);
  to.sin_addr.s_addr = htonl(known->second.real_address);
  // A full socket loses the datagram, as a network may.
  (void)::sendto(fd(), datagram.payload.data(), datagram.payload.size(), MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr*>(&to), sizeof to);
}

}  // namespace mutua::vm
