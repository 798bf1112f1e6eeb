#include "authority/store/open_store.h"

#include <utility>

#include "authority/store/postgres_session.h"
#include "authority/store/postgres_store.h"
#include "authority/store/sqlite_store.h"

namespace mutua::authority {

bool is_postgres(const std::string& database) { return postgres::Address::is_meant(database); }

Result<void> check_database_name(const std::string& database) {
  if (is_postgres(database)) TRY(postgres::Address::parse(database));
  return {};
}

std::string database_label(const std::string& database) {
  if (!is_postgres(database)) return database;
  const auto address = postgres::Address::parse(database);
  return address.ok() ? address->label() : "postgresql";
}

Result<std::unique_ptr<ZoneStore>> open_store(const std::string& database, const wire::Name& apex) {
  if (is_postgres(database))
    return std::unique_ptr<ZoneStore>(TRY(PostgresStore::open(database, apex)));
  return std::unique_ptr<ZoneStore>(TRY(SqliteStore::open(database, apex)));
}

}  // namespace mutua::authority
