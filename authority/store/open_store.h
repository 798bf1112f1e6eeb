#pragma once

#include <memory>
#include <string>

#include "authority/store/zone_store.h"
#include "wire/name.h"

namespace mutua::authority {

// The store that `database` names: a PostgreSQL URI or "key=value" string, or else the path of an
// SQLite file.
Result<std::unique_ptr<ZoneStore>> open_store(const std::string& database, const wire::Name& apex);

}  // namespace mutua::authority
