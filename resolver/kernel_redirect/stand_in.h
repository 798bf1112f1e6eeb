#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "resolver/kernel_redirect/redirect_maps.h"

namespace mutua::resolver {

// A socket that stands in for the silent peer of a connection within this machine: it has the peer's
// address and its place in the connection (TCP_REPAIR), and hears what the program's socket repeats,
// once that has been turned to the loopback interface. Until stand_up() it says nothing by itself,
// and closing it is not heard by anybody. Needs CAP_NET_ADMIN.
Result<UniqueFd> stand_in_for(const mutua_silence& silence);
Result<void> stand_up(int stand_in);

}  // namespace mutua::resolver
