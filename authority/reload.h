#pragma once

#include <string>
#include <vector>

#include "authority/config.h"
#include "authority/server/server.h"
#include "authority/transfer/notifier.h"
#include "authority/transfer/transfer_service.h"
#include "authority/zone_source.h"
#include "base/replaceable.h"

namespace mutua::authority {

// Every key that a question may be signed with.
std::vector<wire::TsigKey> keys_of_questions(const AuthorityConfig& config);

// What takes up another configuration while it runs. References; all outlive it.
struct Running {
  Server& server;
  ZoneSource& source;
  TransferService& transfers;
  std::vector<Notifier*> notifiers;
  Replaceable<std::vector<wire::TsigKey>>& question_keys;
};

// SIGHUP: reads the file again and takes up what may change in a running server: certificate, cookie
// secrets, rate limits, TSIG keys, who may have the zone, who is told of changes, the primaries of a
// secondary. A file with an error changes nothing. One thread at a time.
void reload(const std::string& path, const Running& running);

}  // namespace mutua::authority
