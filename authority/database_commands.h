#pragma once

#include <string>
#include <vector>

#include "authority/config.h"
#include "authority/store/zone_store.h"
#include "base/result.h"

namespace mutua::authority {

// The commands about the database: import, export, check and migrate.

// Fills an empty store. `source` is a master file, or another database: then leases and the memory
// of requests come along, so that a zone may move while its peers live on. The zone is checked
// whole before anything is stored.
Result<void> import(ZoneStore& store, const wire::Name& apex, const std::string& source);
// The same with the configuration's zone_file, where the store is empty.
Result<void> import_where_empty(ZoneStore& store, const AuthorityConfig& config);

// Writes the stored zone as a master file, in canonical order, the SOA first; "-" is standard
// output. Leases are no records: what is under lease will be imported as if for ever.
Result<void> export_master_file(ZoneStore& store, const wire::Name& apex, const std::string& path);

// Reads everything and prints what there is. Fails where the stored zone is none, or where serial,
// journal and leases do not fit it. Prints what is right but not safe, too.
Result<void> check(ZoneStore& store, const AuthorityConfig& config);

// Brings the schema up to date. For PostgreSQL as the role of `arguments[0]`, a way to reach the
// same database, for the configuration's role; as the latter itself where there is no argument.
Result<void> migrate(const AuthorityConfig& config, const std::vector<std::string>& arguments);

}  // namespace mutua::authority
