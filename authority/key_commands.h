#pragma once

#include <string>
#include <vector>

#include "authority/config.h"
#include "base/clock.h"
#include "base/result.h"

namespace mutua::authority {

// mutua-authority keys …: works on the key store itself, whether or not the daemon runs; the daemon
// takes notice within a second.
//
//   generate      makes the first keys
//   list          prints every key with what happened to it and when
//   roll [ROLE]   makes the successor of the active key (ksk or zsk where there are two)
//   ds-seen TAG   the zone above shows the DS of the active key
//   retire TAG    takes a key out of use at once, for one that became known to others
//   ds            prints the DS records that the zone above shall have
//
// False from is_key_command where these words are none of them.
bool is_key_command(const std::vector<std::string>& words);
Result<void> run_key_command(const AuthorityConfig& config, const std::vector<std::string>& words,
                             const Clock& clock);

}  // namespace mutua::authority
