#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "authority/store/postgres_session.h"
#include "base/result.h"
#include "wire/name.h"

namespace mutua::authority::postgres {

// The tables of one zone, in a schema of their own:
//
//   mutua.schema_version   how many of the steps in postgres_schema.cc were taken
//   mutua.zone             one row: apex, serial (NULL: empty), and where the sequence of
//                          transactions stands: their count and the id of the last one
//   mutua.rrset, .lease, .replay
//   mutua.journal          the last transactions: id, the id of the one before, content
//
// Two roles. The owner of the schema creates and alters it: migrate(). The daemon's role may read
// and write rows and nothing more.

// What every session begins with. Durability is the database's where that is stricter: with
// synchronous_standby_names set, a commit has reached a standby's disk.
extern const char* const kSessionSettings;

// Brings the schema up to date, creates it where there is none, and gives `daemon_role` what it
// needs. `owner` is connected. Fails, changing nothing, where the schema is newer than this program
// or holds another zone. Returns the version that the schema had before.
Result<std::int64_t> migrate(Session& owner, const wire::Name& apex,
                             const std::string& daemon_role);

// What stands in the way of the promises of PostgresStore, a sentence each: no synchronous standby,
// a role that may do more than it needs.
Result<std::vector<std::string>> find_risks(Session& session);

// Whether the schema is the one that this program works with, and the zone this one.
Result<void> check_schema(Session& session, const wire::Name& apex);

}  // namespace mutua::authority::postgres
