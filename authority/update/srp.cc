#include "authority/update/srp.h"

#include <algorithm>
#include <string>
#include <utility>

#include "authority/access/key_identity.h"
#include "trust/peer_id.h"

namespace mutua::authority {
namespace {

using std::chrono::seconds;
using wire::RRType;

Refusal taken(const wire::Name& name) {
  return {wire::Rcode::yxdomain, wire::ExtendedError::prohibited,
          name.to_text() + " belongs to another key"};
}

Bytes pointer_to(const wire::Name& instance) { return to_bytes(instance.wire()); }

bool is_made_from(const wire::Name& name, const Bytes& key_rdata) {
  return name.lowered().label(0) == trust::peer_id(key_rdata);
}

bool is_host_free(const SrpRegistration& srp, const ZoneDraft& draft) {
  const auto keys = draft.find(srp.host, RRType::key);
  if (!keys) return !draft.is_in_use(srp.host);
  return std::ranges::any_of(keys->rdatas,
                             [&](const Bytes& key) { return is_same_key(key, srp.key_rdata); });
}

std::optional<Refusal> check_names(const SrpRegistration& srp, const LeaseTable& table,
                                   WallTime now, const ZoneDraft& draft) {
  const trust::Digest key = key_id(srp.key_rdata);
  const auto held_by_other = [&](const LeaseRow* row) {
    return row && row->key != key && row->key_expiry > now;
  };
  if (held_by_other(table.find(srp.host)) || !is_host_free(srp, draft)) return taken(srp.host);
  for (const SrpService& service : srp.services) {
    const LeaseRow* row = table.find(service.instance);
    if (held_by_other(row)) return taken(service.instance);
    // Without a row the records are an operator's, unless the name says whose it is.
    if (!row && draft.is_in_use(service.instance) &&
        !is_made_from(service.instance, srp.key_rdata)) {
      return taken(service.instance);
    }
  }
  return std::nullopt;
}

void clear_name(const wire::Name& owner, ZoneDraft& draft, bool keep_key) {
  for (const RRType type : draft.types_at(owner)) {
    if (!(keep_key && type == RRType::key)) draft.remove(owner, type);
  }
}

void remove_instance(const wire::Name& instance, ZoneDraft& draft) {
  clear_name(instance, draft, false);
  draft.remove_rdata(instance.parent(), RRType::ptr, pointer_to(instance));
}

void write_records(const std::vector<wire::Record>& records, seconds lease, ZoneDraft& draft) {
  for (const wire::Record& record : records) {
    // No cache may keep a record for longer than its lease.
    const auto ttl = std::min(record.ttl, static_cast<std::uint32_t>(lease.count()));
    draft.add(record.owner, record.type, ttl, record.rdata);
  }
}

void write_pointer(const wire::Name& instance, seconds lease, ZoneDraft& draft) {
  const wire::Name list = instance.parent();
  // Many hosts share the RRset: the TTL that it has stays, or each refresh would change the zone.
  const auto present = draft.find(list, RRType::ptr);
  const auto ttl = present ? present->ttl : static_cast<std::uint32_t>(lease.count());
  draft.add(list, RRType::ptr, ttl, pointer_to(instance));
}

// LEASE=0: the host and every service that it has registered go.
void remove_host(const SrpRegistration& srp, const LeaseTable& table, WallTime now,
                 seconds key_lease, ZoneDraft& draft, LeaseChanges& leases) {
  const bool keep_names = key_lease.count() > 0;
  for (const SrpService& service : srp.services) remove_instance(service.instance, draft);
  for (LeaseRow row : table.of_host(srp.host)) {
    if (!row.is_host()) remove_instance(row.owner, draft);
    if (!keep_names || (!row.is_host() && is_made_from(row.owner, srp.key_rdata))) {
      leases.removed.push_back(row.owner);
      continue;
    }
    row.expiry.reset();
    row.key_expiry = now + key_lease;
    leases.put.push_back(std::move(row));
  }
  clear_name(srp.host, draft, keep_names);
}

void write_service(const SrpService& service, const SrpRegistration& srp, const LeaseTable& table,
                   const LeaseRow& host_row, seconds lease, ZoneDraft& draft,
                   LeaseChanges& leases) {
  if (service.is_removed()) {
    remove_instance(service.instance, draft);
    if (table.find(service.instance)) leases.removed.push_back(service.instance);
    return;
  }
  clear_name(service.instance, draft, false);
  write_records(service.records, lease, draft);
  write_pointer(service.instance, lease, draft);
  LeaseRow row{service.instance, srp.host, host_row.key, host_row.expiry, host_row.key_expiry};
  // A name made from the key needs no reservation: nobody else can ask for it.
  if (is_made_from(service.instance, srp.key_rdata)) row.key_expiry = *row.expiry;
  leases.put.push_back(std::move(row));
}

}  // namespace

std::optional<Refusal> register_srp(const SrpRegistration& srp, const LeaseTable& table,
                                    WallTime now, ZoneDraft& draft, LeaseChanges& leases,
                                    wire::UpdateLease& granted) {
  if (auto problem = check_names(srp, table, now, draft)) return problem;
  const seconds asked_key_lease = srp.requested.key_lease.value_or(srp.requested.lease);
  if (srp.requested.lease.count() == 0) {
    const seconds key_lease = std::min(asked_key_lease, kLongestKeyLease);
    remove_host(srp, table, now, key_lease, draft, leases);
    granted.lease = seconds(0);
    if (srp.requested.key_lease) granted.key_lease = key_lease;
    return std::nullopt;
  }
  const seconds lease = std::clamp(srp.requested.lease, kShortestLease, kLongestLease);
  const seconds key_lease = std::clamp(asked_key_lease, lease, kLongestKeyLease);
  granted.lease = lease;
  if (srp.requested.key_lease) granted.key_lease = key_lease;

  const LeaseRow host_row{srp.host, srp.host, key_id(srp.key_rdata), now + lease, now + key_lease};
  clear_name(srp.host, draft, false);
  write_records(srp.host_records, lease, draft);
  leases.put.push_back(host_row);
  for (const SrpService& service : srp.services) {
    write_service(service, srp, table, host_row, lease, draft, leases);
  }
  return std::nullopt;
}

void lapse(const std::vector<LeaseRow>& due, WallTime now, ZoneDraft& draft, LeaseChanges& leases) {
  for (LeaseRow row : due) {
    const bool name_lapses = row.key_expiry <= now;
    if (row.is_host()) {
      clear_name(row.owner, draft, !name_lapses);
    } else {
      remove_instance(row.owner, draft);
    }
    if (name_lapses) {
      leases.removed.push_back(row.owner);
    } else {
      row.expiry.reset();
      leases.put.push_back(std::move(row));
    }
  }
}

}  // namespace mutua::authority
