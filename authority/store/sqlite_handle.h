#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "base/bytes.h"
#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace mutua::authority::sqlite {

// A prepared statement. Parameters count from 1, columns from 0, as in SQLite. Bound octets must
// live until the next reset. Errors of binding show at the next step.
class Statement {
 public:
  Statement() = default;

  Statement& bind(int index, std::int64_t value);
  Statement& bind(int index, BytesView value);
  Statement& bind_null(int index);

  // True when a row is there, false at the end.
  Result<bool> step();
  // Steps to the end of a statement that returns no rows, then resets it.
  Result<void> run();
  void reset();

  bool column_is_null(int index) const;
  std::int64_t column_integer(int index) const;
  BytesView column_bytes(int index) const;  // lives until the next step or reset

 private:
  friend class Connection;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

// One connection to one database file. Its errors say what failed, not in which file: that is the
// store's to add.
class Connection {
 public:
  static Result<Connection> open(const std::filesystem::path& path);

  // One or more statements without parameters and without rows of interest.
  Result<void> execute(const char* sql);
  Result<Statement> prepare(const char* sql);
  // The single integer that a statement returns; 0 where it returns no row.
  Result<std::int64_t> integer(const char* sql);

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  Error error(const char* operation) const;

  std::unique_ptr<sqlite3, Close> database_;
};

// BEGIN IMMEDIATE now; ROLLBACK at the end of the scope unless commit() succeeded.
class Scope {
 public:
  static Result<Scope> begin(Connection& connection);
  Scope(Scope&& other) noexcept : connection_(other.connection_) { other.connection_ = nullptr; }
  Scope& operator=(Scope&&) = delete;
  ~Scope();
  Result<void> commit();

 private:
  explicit Scope(Connection& connection) : connection_(&connection) {}
  Connection* connection_;
};

}  // namespace mutua::authority::sqlite
