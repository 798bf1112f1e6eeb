#pragma once

#include <functional>
#include <map>

#include "base/unique_fd.h"
#include "peer/vm/jail/ethernet.h"
#include "peer/vm/machine.h"

namespace mutua::vm {

// One mapped UDP port: a socket on the host, and frames to and from the guest. (libslirp can not:
// its restricted mode drops the guest's answers.) A guest reaches only clients that wrote first;
// datagrams that do not fit one frame are dropped.
class UdpForward {
 public:
  using SendFrame = std::function<void(BytesView)>;

  // Binds a port of the mapping's range.
  static Result<UdpForward> open(const PortMapping& mapping, std::uint32_t guest_address);

  int fd() const { return socket_.get(); }
  const BoundPort& bound() const { return bound_; }

  // Passes what clients sent on to the guest; call when fd() is readable. Does not block.
  void receive(const SendFrame& send_frame);
  // Passes a guest's datagram on to the client that it names. Unknown clients are ignored.
  void send(const Ipv4Packet& packet, const UdpDatagram& datagram);

 private:
  // A client as the guest sees it: the host's loopback addresses appear as the gateway.
  struct Client {
    std::uint32_t address;
    std::uint16_t port;
    auto operator<=>(const Client&) const = default;
  };
  struct Known {
    std::uint32_t real_address;
    std::uint64_t last_used;
  };

  UdpForward(UniqueFd socket, BoundPort bound, std::uint32_t guest_address)
      : socket_(std::move(socket)), bound_(std::move(bound)), guest_address_(guest_address) {}

  void remember(const Client& client, std::uint32_t real_address);

  UniqueFd socket_;
  BoundPort bound_;
  std::uint32_t guest_address_;
  std::map<Client, Known> clients_;
  std::uint64_t uses_ = 0;
};

}  // namespace mutua::vm
