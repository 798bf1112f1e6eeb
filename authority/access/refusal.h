#pragma once

#include <string>

#include "wire/edns.h"
#include "wire/types.h"

namespace mutua::authority {

// Why a request is not executed, for the answer and the log.
struct Refusal {
  wire::Rcode rcode = wire::Rcode::refused;
  wire::ExtendedError code = wire::ExtendedError::prohibited;
  std::string text;
};

}  // namespace mutua::authority
