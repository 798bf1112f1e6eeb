#include "authority/store/postgres_schema.h"

#include <array>
#include <chrono>
#include <utility>

namespace mutua::authority::postgres {
namespace {

// Version n is what the first n of these lead to. A step that has been released is never altered.
constexpr std::array kSteps{
    R"(
  CREATE TABLE zone (
    single boolean PRIMARY KEY DEFAULT true CHECK (single), apex bytea NOT NULL, serial bigint,
    position bigint NOT NULL DEFAULT 0, batch bytea NOT NULL DEFAULT '');
  CREATE TABLE rrset (
    owner_key bytea, type integer, owner bytea NOT NULL, ttl bigint NOT NULL,
    rdatas bytea NOT NULL, PRIMARY KEY (owner_key, type));
  CREATE TABLE lease (
    owner_key bytea PRIMARY KEY, owner bytea NOT NULL, host bytea NOT NULL, key bytea NOT NULL,
    expiry bigint, key_expiry bigint NOT NULL);
  CREATE TABLE replay (
    key bytea, fingerprint bytea, signed_at bigint NOT NULL, expiry bigint NOT NULL,
    PRIMARY KEY (key, fingerprint));
  CREATE TABLE journal (
    position bigint PRIMARY KEY, batch bytea NOT NULL, previous bytea NOT NULL,
    content bytea NOT NULL);
)",
    // Rows that every commit updates in place: room beside them keeps such updates out of indexes.
    R"(
  ALTER TABLE zone SET (fillfactor = 10);
  ALTER TABLE rrset SET (fillfactor = 80);
  ALTER TABLE lease SET (fillfactor = 70);
)"};

constexpr std::int64_t kVersion = kSteps.size();
constexpr std::chrono::minutes kPatience(10);  // a step may rewrite a table

Result<std::int64_t> integer(Session& session, const std::string& sql) {
  const Rows rows = TRY(session.execute(sql));
  if (rows.size() != 1 || rows.is_null(0, 0)) return Error("expected one number: " + sql);
  return rows.integer(0, 0);
}

Result<std::int64_t> version_of(Session& session) {
  const Rows table = TRY(session.execute("SELECT to_regclass('mutua.schema_version')"));
  if (table.is_null(0, 0)) return 0;
  return integer(session, "SELECT version FROM mutua.schema_version");
}

Error too_new(std::int64_t version) {
  return errorf("schema version %lld, this program knows %lld", static_cast<long long>(version),
                static_cast<long long>(kVersion));
}

Result<void> check_zone(Session& session, const wire::Name& apex) {
  const Rows zone = TRY(session.execute("SELECT apex FROM mutua.zone"));
  if (zone.size() != 1) return Error("it names no zone");
  const Bytes octets = TRY(zone.bytes(0, 0));
  const wire::Name stored = TRY(wire::Name::from_wire(octets));
  if (stored == apex) return {};
  return errorf("it holds the zone %s, not %s", stored.to_text().c_str(), apex.to_text().c_str());
}

Result<void> take_steps(Session& owner, std::int64_t version, const wire::Name& apex) {
  if (version == 0) {
    TRY(
        owner.execute("CREATE SCHEMA IF NOT EXISTS mutua; SET LOCAL search_path TO mutua;"
                      "CREATE TABLE schema_version (version integer NOT NULL);"
                      "INSERT INTO schema_version VALUES (0)"));
  }
  TRY(owner.execute("SET LOCAL search_path TO mutua"));
  for (auto step = static_cast<std::size_t>(version); step < kSteps.size(); ++step) {
    TRY(owner.execute(kSteps.at(step), kPatience));
    if (step == 0)
      TRY(owner.execute("INSERT INTO zone (apex) VALUES (" + literal(apex.lowered().wire()) + ")"));
  }
  TRY(owner.execute("UPDATE schema_version SET version = " + std::to_string(kVersion)));
  return {};
}

// Rows of the zone, and nothing else: no DDL, no other schema, not the version.
Result<void> grant(Session& owner, const std::string& daemon_role) {
  const std::string role = quoted_name(daemon_role);
  TRY(owner.execute("REVOKE ALL ON SCHEMA mutua FROM PUBLIC; GRANT USAGE ON SCHEMA mutua TO " +
                    role + "; GRANT SELECT ON schema_version, zone TO " + role +
                    "; GRANT UPDATE (serial, position, batch) ON zone TO " + role +
                    "; GRANT SELECT, INSERT, UPDATE, DELETE ON rrset, lease, replay TO " + role +
                    "; GRANT SELECT, INSERT, DELETE ON journal TO " + role));
  return {};
}

Result<std::int64_t> migrate_in_transaction(Session& owner, const wire::Name& apex,
                                            const std::string& daemon_role) {
  // One at a time: "mutua" as a number.
  TRY(owner.execute("BEGIN; SELECT pg_advisory_xact_lock(470190748513)"));
  const std::int64_t version = TRY(version_of(owner));
  if (version > kVersion) return too_new(version);
  TRY(take_steps(owner, version, apex));
  TRY(check_zone(owner, apex));
  TRY(grant(owner, daemon_role));
  TRY(owner.execute("COMMIT"));
  return version;
}

}  // namespace

const char* const kSessionSettings =
    "SET search_path TO mutua; SET client_min_messages TO warning; SET bytea_output TO hex;"
    "SET standard_conforming_strings TO on; SET lock_timeout TO '5s';"
    // Whoever holds the turn and says nothing has died or hangs.
    "SET idle_in_transaction_session_timeout TO '10s';"
    // The same from the server's side: a turn must not outlive the network to its holder.
    "SET tcp_keepalives_idle TO 5; SET tcp_keepalives_interval TO 2; SET tcp_keepalives_count TO 3;"
    "SELECT set_config('synchronous_commit', 'on', false)"
    "  WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')";

Result<std::int64_t> migrate(Session& owner, const wire::Name& apex,
                             const std::string& daemon_role) {
  auto before = migrate_in_transaction(owner, apex, daemon_role);
  if (!before.ok()) {
    owner.disconnect();  // which rolls back
    return before.error().in("migrate " + owner.address().label());
  }
  return before;
}

Result<std::vector<std::string>> find_risks(Session& session) {
  const Rows rows =
      TRY(session.execute("SELECT current_setting('synchronous_standby_names') = '',"
                          "  has_schema_privilege('mutua', 'CREATE') OR rolsuper OR rolcreaterole, "
                          "current_setting('fsync')"
                          "  = 'off' OR current_setting('full_page_writes') = 'off', current_user "
                          "FROM pg_roles WHERE rolname = current_user"));
  if (rows.size() != 1) return Error("the database does not know our role");
  std::vector<std::string> risks;
  if (rows.text(0, 0) == "t")
    risks.emplace_back(
        "synchronous_standby_names is empty: with the server, acknowledged updates can be lost");
  if (rows.text(0, 1) == "t")
    risks.emplace_back("the role " + std::string(rows.text(0, 3)) +
                       " may change the schema: see migrate");
  if (rows.text(0, 2) == "t")
    risks.emplace_back("fsync or full_page_writes is off: a power cut can damage everything");
  return risks;
}

Result<void> check_schema(Session& session, const wire::Name& apex) {
  const std::int64_t version = TRY(version_of(session));
  if (version > kVersion) return too_new(version);
  if (version < kVersion)
    return errorf("schema version %lld, this program needs %lld: mutua-authority migrate",
                  static_cast<long long>(version), static_cast<long long>(kVersion));
  return check_zone(session, apex);
}

}  // namespace mutua::authority::postgres
