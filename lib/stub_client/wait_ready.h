#pragma once

#include "base/clock.h"
#include "base/result.h"

namespace mutua::stub_client {

// True when `fd` became ready for `events` (poll) before `deadline`. An error where `cancel`,
// unless it is -1, becomes readable first.
Result<bool> wait_ready(int fd, short events, SteadyTime deadline, int cancel = -1);

}  // namespace mutua::stub_client
