#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "base/clock.h"
#include "base/result.h"
#include "base/socket_address.h"
#include "wire/message.h"
#include "wire/tsig_key.h"

namespace mutua::resolver {

// Fetches a zone by AXFR (RFC 5936) and gives each record to `take`, the SOA first and not again at
// the end. Blocks for `patience` at most. Fails where the authority refuses, the stream ends early,
// is no transfer of this zone, is longer than 1 GiB, or is not signed by the `key` where one is given
// (RFC 8945; `clock` tells the time of that); what `take` was given is then worth nothing.
Result<void> transfer_zone(const SocketAddress& authority, const wire::Name& zone,
                           std::chrono::milliseconds patience,
                           const std::optional<wire::TsigKey>& key, const Clock& clock,
                           const std::function<void(const wire::Record&)>& take);

}  // namespace mutua::resolver
