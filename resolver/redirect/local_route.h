#pragma once

#include <optional>

#include "base/socket_address.h"
#include "base/unique_fd.h"

namespace mutua::resolver {

// `ip route add local ADDRESS/LENGTH dev lo`: makes every address of the range one of this machine,
// so that it may be bound and connected to. Needs CAP_NET_ADMIN. The route ends with the object;
// one that stood before is left alone, which includes that of a killed earlier run.
class LocalRoute {
 public:
  static constexpr std::uint8_t kLocalTable = 255;  // RT_TABLE_LOCAL, which is asked first
  static Result<LocalRoute> add(const SocketAddress& network, unsigned prefix_length,
                                std::uint8_t table = kLocalTable);
  ~LocalRoute();
  LocalRoute(LocalRoute&& other) noexcept : added_(std::exchange(other.added_, std::nullopt)) {}
  LocalRoute& operator=(LocalRoute&&) = delete;

 private:
  struct Range {
    SocketAddress network;
    unsigned prefix_length;
    std::uint8_t table;
  };
  explicit LocalRoute(std::optional<Range> added) : added_(added) {}
  std::optional<Range> added_;
};

// Whether packets to `address` stay on this machine.
bool is_local(const SocketAddress& address);

}  // namespace mutua::resolver
