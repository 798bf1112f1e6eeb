#pragma once

#include "base/socket_address.h"
#include "resolver/kernel_redirect/redirect_maps.h"

namespace mutua::resolver {

// A SocketAddress as the programs in the kernel know it, and back.
mutua_endpoint endpoint_of(const SocketAddress& address);
Result<SocketAddress> address_of(const mutua_endpoint& endpoint);

}  // namespace mutua::resolver
