#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "authority/dnssec/key_role.h"
#include "authority/dnssec/key_roll.h"
#include "authority/server/server.h"
#include "authority/tap/tap.h"
#include "authority/transfer/follower.h"
#include "authority/transfer/transfer_rules.h"
#include "authority/transfer/zone_list.h"
#include "authority/writer/writer.h"
#include "base/config.h"
#include "base/socket_address.h"
#include "wire/name.h"

namespace mutua::authority {

enum class UnknownNames { refuse, forward };

struct DnssecConfig {
  std::filesystem::path keys;  // the folder of the key store; empty: the zone is not signed here
  KeyPlan plan;
  RollRules roll;
  std::vector<SocketAddress> parents;  // nameservers of the zone above; none: nobody is asked
};

// mutua-authority's configuration file; authority/mutua-authority.8 describes the keys.
struct AuthorityConfig {
  wire::Name zone;
  std::string database;                  // SQLite's path, or how to reach PostgreSQL
  std::filesystem::path zone_file;       // empty: the database must hold a zone already
  std::filesystem::path control_socket;  // empty: there is none
  ServerConfig server;
  std::vector<SocketAddress> metrics_listen;  // none: no metrics
  UnknownNames unknown_names = UnknownNames::refuse;
  std::vector<SocketAddress> upstreams;  // at least one where names are forwarded
  WriterConfig writer;
  FollowerConfig follower;  // with primaries: the zone is written there, and this is a secondary
  TransferConfig transfer;
  std::optional<ZoneListConfig> zone_list;  // a catalog zone for secondaries
  DnssecConfig dnssec;
  std::optional<TapConfig> tap;
};

// Reads the secrets that the file names, too.
Result<AuthorityConfig> read_authority_config(Config file);

}  // namespace mutua::authority
