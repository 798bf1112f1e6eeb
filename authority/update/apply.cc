#include "authority/update/apply.h"

#include <string>
#include <utility>

#include "authority/update/prerequisites.h"
#include "authority/update/zone_draft.h"
#include "wire/rdata.h"

namespace mutua::authority {
namespace {

using wire::Rcode;
using wire::Record;
using wire::RRClass;
using wire::RRType;

using Problem = std::optional<Refusal>;

// An RRset must fit into one message, with room for the rest of it. In each record of an answer
// 12 octets stand beside the data.
constexpr std::size_t kLargestRRset = 60'000;
constexpr std::size_t kRecordOverhead = 12;
constexpr std::size_t kMostTypes = 64;  // at one name

Refusal malformed(const Record& record, const char* what) {
  return {Rcode::formerr, wire::ExtendedError::other,
          "update: " + record.owner.to_text() + " " + to_text(record.type) + ": " + what};
}

// Section 3.4.1.
Problem prescan(const wire::Message& message, const wire::Name& apex) {
  for (const Record& record : message.authority) {
    if (!record.owner.is_at_or_below(apex)) {
      return Refusal{Rcode::notzone, wire::ExtendedError::other,
                     "update: " + record.owner.to_text() + " is outside the zone"};
    }
    switch (record.rclass) {
      case RRClass::in:
        if (is_meta(record.type)) return malformed(record, "no type of data");
        if (!wire::check_rdata(record.type, record.rdata).ok()) {
          return malformed(record, "the data has not the shape of its type");
        }
        break;
      case RRClass::any:
        if (record.ttl != 0 || !record.rdata.empty()) {
          return malformed(record, "a deletion with TTL or data");
        }
        if (is_meta(record.type) && record.type != RRType::any) {
          return malformed(record, "no type of data");
        }
        break;
      case RRClass::none:
        if (record.ttl != 0) return malformed(record, "a deletion with TTL");
        if (is_meta(record.type)) return malformed(record, "no type of data");
        break;
      default:
        return malformed(record, "not the zone's class");
    }
  }
  return std::nullopt;
}

// Types of which a name has at most one record: a second replaces the first.
bool is_single(RRType type) {
  return type == RRType::cname || type == RRType::soa || type == RRType::dname;
}

bool may_stand_beside_cname(RRType type) {
  return type == RRType::cname || type == RRType::rrsig || type == RRType::nsec ||
         type == RRType::nsec3;
}

bool conflicts_with_cname(const Record& record, const ZoneDraft& draft) {
  if (record.type != RRType::cname) {
    return !may_stand_beside_cname(record.type) && draft.find(record.owner, RRType::cname);
  }
  for (const RRType present : draft.types_at(record.owner)) {
    if (!may_stand_beside_cname(present)) return true;
  }
  return false;
}

// Section 3.4.2.2.
void add(const Record& record, ZoneDraft& draft) {
  if (conflicts_with_cname(record, draft)) return;
  if (record.type == RRType::soa) {
    const auto present = draft.find(record.owner, RRType::soa);
    if (!present) return;
    const auto present_soa = wire::parse_soa(present->rdatas.front());
    const auto soa = wire::parse_soa(record.rdata);
    if (!soa.ok() || !present_soa.ok() || !wire::serial_after(soa->serial, present_soa->serial)) {
      return;
    }
  }
  if (is_single(record.type)) {
    draft.replace(record.owner, {record.type, record.ttl, {record.rdata}});
  } else {
    draft.add(record.owner, record.type, record.ttl, record.rdata);
  }
}

// What the zone cannot be without, and what only its signer makes.
bool stays_at_apex(RRType type) {
  return type == RRType::soa || type == RRType::ns || type == RRType::dnskey ||
         type == RRType::cds || type == RRType::cdnskey;
}

// Section 3.4.2.3; RFC 3007 section 4.4 for the keys.
void remove_rrsets(const Record& record, ZoneDraft& draft) {
  const bool is_apex = record.owner == draft.version().apex();
  const auto removable = [&](RRType type) { return !is_apex || !stays_at_apex(type); };
  if (record.type != RRType::any) {
    if (removable(record.type)) draft.remove(record.owner, record.type);
    return;
  }
  for (const RRType type : draft.types_at(record.owner)) {
    if (removable(type)) draft.remove(record.owner, type);
  }
}

// Section 3.4.2.4: the SOA and the last NS of the apex stay.
void remove_record(const Record& record, ZoneDraft& draft) {
  if (record.type == RRType::soa) return;
  if (record.type == RRType::ns && record.owner == draft.version().apex()) {
    const auto present = draft.find(record.owner, RRType::ns);
    if (present && present->rdatas.size() <= 1) return;
  }
  draft.remove_rdata(record.owner, record.type, record.rdata);
}

void apply_records(const wire::Message& message, ZoneDraft& draft) {
  for (const Record& record : message.authority) {
    switch (record.rclass) {
      case RRClass::any:
        remove_rrsets(record, draft);
        break;
      case RRClass::none:
        remove_record(record, draft);
        break;
      default:
        add(record, draft);
        break;
    }
  }
}

Problem check_sizes(const ChangeSet& change, const ZoneDraft& draft) {
  for (const RRsetChange& one : change.changes) {
    if (!one.after) continue;
    std::size_t size = 0;
    for (const Bytes& rdata : one.after->rdatas) size += rdata.size() + kRecordOverhead;
    if (size > kLargestRRset) {
      return Refusal{Rcode::refused, wire::ExtendedError::prohibited,
                     one.owner.to_text() + " " + to_text(one.type) + " would not fit an answer"};
    }
    if (!one.before && draft.types_at(one.owner).size() > kMostTypes) {
      return Refusal{Rcode::refused, wire::ExtendedError::prohibited,
                     one.owner.to_text() + " would own too many types"};
    }
  }
  return std::nullopt;
}

}  // namespace

std::variant<Applied, Refusal> apply_update(const PermittedUpdate& update,
                                            const ZoneVersion& version, const LeaseTable& leases,
                                            WallTime now) {
  const wire::Message& message = update.message();
  if (auto problem = check_prerequisites(message, version)) return *std::move(problem);
  if (auto problem = prescan(message, version.apex())) return *std::move(problem);
  Applied applied;
  ZoneDraft draft(version);
  if (update.srp()) {
    wire::UpdateLease& granted = applied.granted.emplace();
    auto problem = register_srp(*update.srp(), leases, now, draft, applied.leases, granted);
    if (problem) return *std::move(problem);
  } else {
    apply_records(message, draft);
  }
  applied.change = draft.finish();
  if (auto problem = check_sizes(applied.change, draft)) return *std::move(problem);
  return applied;
}

}  // namespace mutua::authority
