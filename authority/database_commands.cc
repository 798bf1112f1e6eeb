#include "authority/database_commands.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <utility>

#include "authority/store/open_store.h"
#include "authority/store/postgres_schema.h"
#include "authority/zone/master_file.h"
#include "authority/zone/zone_version.h"
#include "base/durable_file.h"
#include "base/log.h"
#include "wire/presentation.h"

namespace mutua::authority {
namespace {

bool is_sqlite_file(const std::string& path) {
  constexpr std::string_view kBeginning("SQLite format 3\0", 16);
  std::string beginning(kBeginning.size(), '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(beginning.data(), static_cast<std::streamsize>(beginning.size()));
  return file && beginning == kBeginning;
}

Result<StoredZone> read_source(const wire::Name& apex, const std::string& source) {
  if (is_postgres(source) || is_sqlite_file(source)) {
    const auto from = TRY(open_store(source, apex));
    return from->load();
  }
  StoredZone zone;
  zone.rrsets = TRY(load_master_file(source, apex));
  return zone;
}

// The SOA first, as master files have it; then canonical order.
bool stands_before(const OwnedRRset& a, const OwnedRRset& b) {
  const bool a_is_soa = a.rrset.type == wire::RRType::soa;
  const bool b_is_soa = b.rrset.type == wire::RRType::soa;
  if (a_is_soa != b_is_soa) return a_is_soa;
  if (a.owner != b.owner) return a.owner < b.owner;
  return a.rrset.type < b.rrset.type;
}

// The journal may have gone on since the zone was read, where others write meanwhile.
Result<void> check_journal(const std::vector<ChangeSet>& journal, std::uint32_t serial) {
  if (journal.empty()) return {};
  for (std::size_t i = 0; i + 1 < journal.size(); ++i)
    if (journal[i].to != journal[i + 1].from)
      return errorf("the journal leads to serial %u and goes on from %u", journal[i].to,
                    journal[i + 1].from);
  if (journal.front().from == serial) return {};
  const auto to_serial = std::ranges::find(journal, serial, &ChangeSet::to);
  if (to_serial != journal.end()) return {};
  return errorf("the journal leads from serial %u to %u, the zone is at %u", journal.front().from,
                journal.back().to, serial);
}

Result<void> check_leases(const std::vector<LeaseRow>& leases, const ZoneVersion& version) {
  for (const LeaseRow& row : leases) {
    if (!row.owner.is_at_or_below(version.apex()))
      return Error("a lease of " + row.owner.to_text() + ", which is outside the zone");
    if (row.expiry && !version.node(row.owner))
      return Error("a lease of " + row.owner.to_text() + ", which has no records");
  }
  return {};
}

Result<void> print_risks(const AuthorityConfig& config) {
  if (!is_postgres(config.database)) return {};
  postgres::Session session(TRY(postgres::Address::parse(config.database)));
  TRY(session.connect());
  for (const std::string& risk : TRY(postgres::find_risks(session)))
    std::printf("risk: %s\n", risk.c_str());
  return {};
}

}  // namespace

Result<void> import(ZoneStore& store, const wire::Name& apex, const std::string& source) {
  StoredZone zone = TRY(read_source(apex, source));
  const auto version = ZoneVersion::create(apex, zone.rrsets);
  if (!version) return version.error().in(database_label(source));
  for (OwnedRRset& owned : zone.rrsets) normalize(owned.rrset);
  const std::size_t leases = zone.leases.size();
  TRY(import_zone(store, std::move(zone)));
  log::info("zone.imported", {{"zone", apex.to_text()},
                              {"from", database_label(source)},
                              {"serial", (*version)->serial()},
                              {"rrsets", (*version)->rrset_count()},
                              {"leases", leases}});
  return {};
}

Result<void> import_where_empty(ZoneStore& store, const AuthorityConfig& config) {
  if (TRY(store.serial())) return {};
  if (config.zone_file.empty())
    return Error(database_label(config.database) +
                 ": holds no zone yet, and no zone_file is given");
  auto imported = import(store, config.zone, config.zone_file);
  if (imported.ok()) return {};
  // Another authority that shares the database may have done it meanwhile.
  if (TRY(store.serial())) return {};
  return imported;
}

Result<void> export_master_file(ZoneStore& store, const wire::Name& apex, const std::string& path) {
  StoredZone zone = TRY(store.load());
  if (zone.rrsets.empty()) return Error("export: the database holds no zone");
  std::sort(zone.rrsets.begin(), zone.rrsets.end(), stands_before);
  std::string text = "$ORIGIN " + apex.to_text() + "\n";
  for (const OwnedRRset& owned : zone.rrsets) {
    for (const Bytes& rdata : owned.rrset.rdatas) {
      const wire::Record record{owned.owner, owned.rrset.type, wire::RRClass::in,
                                ttl_of(owned.rrset, rdata), rdata};
      text += to_text(record);
      if (!text.ends_with('\n')) text += '\n';
    }
  }
  if (path != "-") return write_file_durably(path, as_bytes(text));
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    return Error("export: cannot write to standard output");
  return {};
}

Result<void> check(ZoneStore& store, const AuthorityConfig& config) {
  const std::string label = database_label(config.database);
  StoredZone zone = TRY(store.load());
  if (!zone.serial) {
    std::printf("%s: empty\n", label.c_str());
    return print_risks(config);
  }
  const auto whole = [&]() -> Result<void> {
    const auto version = TRY(ZoneVersion::create(config.zone, std::move(zone.rrsets)));
    if (version->serial() != *zone.serial)
      return errorf("the SOA says serial %u, the database %u", version->serial(), *zone.serial);
    const auto journal = TRY(store.recent_changes());
    TRY(check_journal(journal, version->serial()));
    TRY(check_leases(zone.leases, *version));
    std::printf(
        "%s: sound: zone %s serial %u, %zu RRsets, %zu leases, %zu remembered requests, "
        "%zu changes in the journal\n",
        label.c_str(), config.zone.to_text().c_str(), version->serial(), version->rrset_count(),
        zone.leases.size(), zone.replays.size(), journal.size());
    return {};
  };
  if (auto checked = whole(); !checked.ok()) return checked.error().in(label);
  return print_risks(config);
}

Result<void> migrate(const AuthorityConfig& config, const std::vector<std::string>& arguments) {
  if (!is_postgres(config.database)) {
    if (!arguments.empty()) return Error("migrate: SQLite knows no roles");
    TRY(open_store(config.database, config.zone));
    std::printf("%s: up to date\n", config.database.c_str());
    return {};
  }
  postgres::Session daemon(TRY(postgres::Address::parse(config.database)));
  TRY(daemon.connect());
  const auto role = TRY(daemon.execute("SELECT current_user"));
  postgres::Session owner(
      TRY(postgres::Address::parse(arguments.empty() ? config.database : arguments.front())));
  TRY(owner.connect());
  const auto before = TRY(postgres::migrate(owner, config.zone, std::string(role.text(0, 0))));
  std::printf("%s: up to date; the schema was at version %lld\n", daemon.address().label().c_str(),
              static_cast<long long>(before));
  return {};
}

}  // namespace mutua::authority
