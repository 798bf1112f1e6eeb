#pragma once

#include <memory>
#include <string>
#include <vector>

#include "authority/xdp/xdp_socket.h"
#include "base/result.h"
#include "base/socket_address.h"

namespace mutua::authority {

// A network interface whose questions go past the kernel's network stack (AF_XDP): the program in
// the kernel, and a socket for each queue of the interface. Needs CAP_NET_ADMIN, CAP_NET_RAW and
// CAP_BPF. The program leaves the interface with the object, or with the process.
class XdpInterface {
 public:
  // The interface that has this address; fails where none has.
  static Result<std::string> name_of(const SocketAddress& address);

  // Nothing is redirected before activate(). Fails, with nothing left behind, where the kernel, the
  // driver or the rights do not allow it, or where the interface has another's program already.
  static Result<std::unique_ptr<XdpInterface>> create(const std::string& name,
                                                      const std::vector<SocketAddress>& endpoints);
  virtual ~XdpInterface() = default;

  // One for each queue; the caller's. They end before the interface does.
  virtual std::vector<std::unique_ptr<XdpSocket>> take_sockets() = 0;
  // From here on questions come to the sockets.
  virtual Result<void> activate() = 0;
  // In the driver, before the kernel makes a packet of the frame; or after that, which any driver
  // can do.
  virtual bool is_native() const = 0;
};

}  // namespace mutua::authority
