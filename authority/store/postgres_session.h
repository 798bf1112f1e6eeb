#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace mutua::authority::postgres {

// Where a database is and how to get in: a URI (postgresql://…) or libpq's "key=value key=value".
class Address {
 public:
  // Whether the text means PostgreSQL rather than a path.
  static bool is_meant(std::string_view text);
  // Adds, where the text does not speak of it: that only a server that takes writes will do
  // (target_session_attrs, for which several hosts may be named), and that a lost server is noticed
  // within seconds.
  static Result<Address> parse(const std::string& text);

  // May hold a password; for libpq only.
  const std::string& connection_string() const { return connection_string_; }
  // For messages: "postgresql://host1,host2/database".
  const std::string& label() const { return label_; }

 private:
  std::string connection_string_, label_;
};

// What a statement returned. Rows and columns count from 0.
class Rows {
 public:
  Rows() = default;

  std::size_t size() const;
  bool is_null(std::size_t row, int column) const;
  std::string_view text(std::size_t row, int column) const;  // lives as long as the Rows
  Result<std::int64_t> integer(std::size_t row, int column) const;
  Result<Bytes> bytes(std::size_t row, int column) const;  // of a bytea

 private:
  friend class Session;
  struct Data;
  explicit Rows(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  std::shared_ptr<const Data> data_;
};

// A literal for SQL text: '\x0a1b'::bytea, and "a ""quoted"" name".
std::string literal(BytesView octets);
std::string quoted_name(std::string_view name);

// One session with a database at a time; the only place that knows libpqxx. Not thread-safe.
class Session {
 public:
  explicit Session(Address address);
  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  // Begins a new session, anew where there was one. Takes seconds at most for each host.
  Result<void> connect();
  void disconnect();
  bool is_connected() const;

  // One or more statements, without parameters; what the last one returned. Where it fails and the
  // session is_connected() still, nothing of a statement that failed was done, and the session may
  // be inside a failed transaction. Where the session is lost, nobody knows.
  Result<Rows> execute(const std::string& sql,
                       std::chrono::milliseconds patience = std::chrono::seconds(10));

  // Asks to be told of notifications on this channel.
  Result<void> listen(const std::string& channel);
  // Their payloads, which have come by now. Fails where the session is lost.
  Result<std::vector<std::string>> notifications();
  int socket() const;  // readable when notifications() may have some

  const Address& address() const { return address_; }

 private:
  struct Connection;
  Address address_;
  std::unique_ptr<Connection> connection_;
};

}  // namespace mutua::authority::postgres
