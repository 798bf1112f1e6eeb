#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "base/socket_address.h"
#include "base/unique_fd.h"

namespace mutua::resolver {

// By which of this machine's interfaces packets to a peer leave: the kernel's routes and
// neighbours, asked once for each peer and again when it says that they, interfaces, addresses or
// rules have changed.
class PeerInterfaces {
 public:
  static Result<PeerInterfaces> create();

  // Takes in what the kernel has said since the last call; true where something may be different.
  bool refresh();
  int descriptor() const { return changes_.get(); }  // readable when there is something to take in
  // The interface's index, the loopback interface's for addresses of this machine; nothing where a
  // packet to `peer` would not leave at once, for want of a route or because the link-layer address
  // of the next hop has to be found first. At most kMostKnown are remembered.
  std::optional<std::uint32_t> to(const SocketAddress& peer);

 private:
  static constexpr std::size_t kMostKnown = 10'000;

  explicit PeerInterfaces(UniqueFd changes) : changes_(std::move(changes)) {}
  UniqueFd changes_;
  std::map<SocketAddress, std::optional<std::uint32_t>> known_;
};

}  // namespace mutua::resolver
