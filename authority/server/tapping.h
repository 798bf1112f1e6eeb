#pragma once

#include "authority/query/answer.h"
#include "authority/server/handover.h"
#include "authority/tap/tap.h"

namespace mutua::authority {

TapExchange::Protocol tap_protocol(Transport transport);

// Takes updates over for `taker`, and lets the tap know of them and of their answers. The tap
// outlives whoever owes one.
Taker tapped(Tap& tap, Taker taker);

}  // namespace mutua::authority
