#include <utility>

#include "authority/store/zone_store.h"
#include "wire/rdata.h"

namespace mutua::authority {

Result<std::optional<std::uint32_t>> serial_after(std::optional<std::uint32_t> stored,
                                                  const Transaction& transaction) {
  for (const ChangeSet& change : transaction.changes) {
    if (stored && change.from != *stored) return Error("the change sets do not follow one another");
    stored = change.to;
  }
  return stored;
}

Result<void> import_zone(ZoneStore& store, std::vector<OwnedRRset> rrsets) {
  return import_zone(store, StoredZone{std::move(rrsets), {}, {}, {}});
}

Result<void> import_zone(ZoneStore& store, StoredZone zone) {
  Transaction transaction;
  transaction.leases = std::move(zone.leases);
  transaction.replays = std::move(zone.replays);
  ChangeSet& change = transaction.changes.emplace_back();
  bool has_soa = false;
  for (OwnedRRset& owned : zone.rrsets) {
    if (owned.rrset.type == wire::RRType::soa && !owned.rrset.rdatas.empty()) {
      change.to = TRY(wire::parse_soa(owned.rrset.rdatas.front())).serial;
      has_soa = true;
    }
    const wire::RRType type = owned.rrset.type;
    change.changes.push_back({std::move(owned.owner), type, std::nullopt, std::move(owned.rrset)});
  }
  if (!has_soa) return Error("import of a zone: the records have no SOA");
  if (TRY(store.commit(std::nullopt, transaction)) == CommitOutcome::conflict)
    return Error("import of a zone: the store is not empty");
  return {};
}

}  // namespace mutua::authority
