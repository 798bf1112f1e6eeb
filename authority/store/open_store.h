#pragma once

#include <memory>
#include <string>

#include "authority/store/zone_store.h"
#include "wire/name.h"

namespace mutua::authority {

// Where a zone is stored: a PostgreSQL URI or "key=value" string, or else the path of an SQLite
// file.

bool is_postgres(const std::string& database);
// Fails where it cannot be one at all.
Result<void> check_database_name(const std::string& database);
// For messages: without the password.
std::string database_label(const std::string& database);

// Opens it; creates an SQLite file where there is none.
Result<std::unique_ptr<ZoneStore>> open_store(const std::string& database, const wire::Name& apex);

}  // namespace mutua::authority
