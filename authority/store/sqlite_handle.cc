#include "authority/store/sqlite_handle.h"

#include <sqlite3.h>

#include <utility>

#include "base/thread_scheduling.h"

namespace mutua::authority::sqlite {
namespace {

// Another process may hold the file for a moment while it ends; more than this is somebody else.
constexpr int kBusyTimeoutMilliseconds = 2000;
constexpr int kStepsBetweenWays = 50;  // of SQLite's virtual machine: about ten microseconds

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Statement& Statement::bind(int index, std::int64_t value) {
  sqlite3_bind_int64(statement_.get(), index, value);
  return *this;
}

Statement& Statement::bind(int index, BytesView value) {
  // A null pointer would bind NULL where an empty blob is meant.
  const void* data = value.empty() ? "" : static_cast<const void*>(value.data());
  sqlite3_bind_blob64(statement_.get(), index, data, value.size(), SQLITE_STATIC);
  return *this;
}

Statement& Statement::bind_null(int index) {
  sqlite3_bind_null(statement_.get(), index);
  return *this;
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  const char* message = sqlite3_errmsg(sqlite3_db_handle(statement_.get()));
  Error error = errorf("%s: %s", sqlite3_sql(statement_.get()), message);
  reset();
  return error;
}

Result<void> Statement::run() {
  while (TRY(step())) {
  }
  reset();
  give_way();
  return {};
}

void Statement::reset() {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
}

bool Statement::column_is_null(int index) const {
  return sqlite3_column_type(statement_.get(), index) == SQLITE_NULL;
}

std::int64_t Statement::column_integer(int index) const {
  return sqlite3_column_int64(statement_.get(), index);
}

BytesView Statement::column_bytes(int index) const {
  const void* data = sqlite3_column_blob(statement_.get(), index);
  const int size = sqlite3_column_bytes(statement_.get(), index);
  return {static_cast<const std::uint8_t*>(data), static_cast<std::size_t>(size)};
}

void Connection::Close::operator()(sqlite3* database) const { sqlite3_close_v2(database); }

Error Connection::error(const char* operation) const {
  return errorf("%s: %s", operation, sqlite3_errmsg(database_.get()));
}

Result<Connection> Connection::open(const std::filesystem::path& path) {
  Connection connection;
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(
      path.c_str(), &raw,
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
      nullptr);
  connection.database_.reset(raw);  // also after a failure: SQLite wants it closed
  if (code != SQLITE_OK) return connection.error("open");
  sqlite3_busy_timeout(raw, kBusyTimeoutMilliseconds);
  sqlite3_progress_handler(
      raw, kStepsBetweenWays,
      [](void*) {
        give_way();
        return 0;
      },
      nullptr);
  return connection;
}

Result<void> Connection::execute(const char* sql) {
  if (sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) return error(sql);
  return {};
}

Result<Statement> Connection::prepare(const char* sql) {
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v3(database_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &raw, nullptr) !=
      SQLITE_OK) {
    return error(sql);
  }
  Statement statement;
  statement.statement_.reset(raw);
  return statement;
}

Result<std::int64_t> Connection::integer(const char* sql) {
  Statement statement = TRY(prepare(sql));
  return TRY(statement.step()) ? statement.column_integer(0) : 0;
}

Result<Scope> Scope::begin(Connection& connection) {
  TRY(connection.execute("BEGIN IMMEDIATE"));
  return Scope(connection);
}

Scope::~Scope() {
  // A failed ROLLBACK means that SQLite has rolled back already.
  if (connection_) (void)connection_->execute("ROLLBACK").ok();
}

Result<void> Scope::commit() {
  TRY(connection_->execute("COMMIT"));
  connection_ = nullptr;
  return {};
}

}  // namespace mutua::authority::sqlite
