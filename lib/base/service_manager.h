#pragma once

#include <string_view>

namespace mutua {

// Tells the service manager (sd_notify(3)): "READY=1", "STOPPING=1". Nothing where there is none.
// Any thread.
void notify_manager(std::string_view state);

}  // namespace mutua
