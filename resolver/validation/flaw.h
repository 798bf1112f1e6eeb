#pragma once

#include <string>

#include "wire/edns.h"

namespace mutua::resolver {

// Why something that a nameserver said is not believed, in the words of RFC 8914.
struct Flaw {
  wire::ExtendedError code = wire::ExtendedError::dnssec_bogus;
  std::string text;  // "blog.fed.example. TXT: its signature has expired"
};

}  // namespace mutua::resolver
