#pragma once

#include <chrono>
#include <functional>
#include <variant>

#include "base/bytes.h"
#include "base/result.h"
#include "resolver/validation/flaw.h"
#include "wire/message.h"

namespace mutua::resolver {

// Sends one DNS query and delivers the response or why there is none, always once, within a time
// that the sender bounds. The callback comes on any thread, perhaps before this returns.
using Ask = std::function<void(Bytes query, std::function<void(Result<Bytes>)> done)>;

// What the zone says, as far as it is believed; or why nothing is.
using ZoneAnswer = std::variant<wire::Message, Flaw>;
// The same for a question about the zone.
using AskZone =
    std::function<void(const wire::Question& question, std::function<void(ZoneAnswer)> done)>;

// Runs an action later, on any thread.
using Later = std::function<void(std::chrono::milliseconds, std::function<void()>)>;

}  // namespace mutua::resolver
