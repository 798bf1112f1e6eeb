#include "authority/store/open_store.h"

#include <utility>

#include "authority/store/postgres_session.h"
#include "authority/store/postgres_store.h"
#include "authority/store/sqlite_store.h"

namespace mutua::authority {

Result<std::unique_ptr<ZoneStore>> open_store(const std::string& database, const wire::Name& apex) {
  if (postgres::Address::is_meant(database))
    return std::unique_ptr<ZoneStore>(TRY(PostgresStore::open(database, apex)));
  return std::unique_ptr<ZoneStore>(TRY(SqliteStore::open(database, apex)));
}

}  // namespace mutua::authority
