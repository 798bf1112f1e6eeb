#include "authority/access/srp_message.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "wire/rdata.h"

namespace mutua::authority {
namespace {

using wire::RRClass;
using wire::RRType;

Refusal not_srp(const std::string& why) {
  return {wire::Rcode::refused, wire::ExtendedError::invalid_data, "not an SRP update: " + why};
}

// The records of the update section, sorted by what they can be in SRP.
struct Sorted {
  std::set<wire::Name> cleared;                               // "delete all RRsets from a name"
  std::map<wire::Name, std::vector<wire::Record>> additions;  // but for PTR
  std::set<wire::Name> added_pointers, removed_pointers;      // the targets
};

std::optional<Refusal> sort_pointer(const wire::Record& record, Sorted& out) {
  const auto target = wire::parse_name_rdata(record.rdata);
  if (!target.ok() || target->is_root()) return not_srp("a PTR leads nowhere");
  if (target->parent() != record.owner) {
    return not_srp("a PTR at " + record.owner.to_text() + " leads to " + target->to_text() +
                   "; service subtypes are not kept here");
  }
  (record.rclass == RRClass::in ? out.added_pointers : out.removed_pointers).insert(*target);
  return std::nullopt;
}

std::optional<Refusal> sort_records(const wire::Message& message, Sorted& out) {
  for (const wire::Record& record : message.authority) {
    const bool is_pointer = record.type == RRType::ptr;
    if (record.rclass == RRClass::any && record.type == RRType::any) {
      if (out.additions.contains(record.owner)) return not_srp("a name is cleared after additions");
      if (!out.cleared.insert(record.owner).second) return not_srp("a name is cleared twice");
    } else if (is_pointer && (record.rclass == RRClass::in || record.rclass == RRClass::none)) {
      if (auto problem = sort_pointer(record, out)) return problem;
    } else if (record.rclass == RRClass::in) {
      if (!out.cleared.contains(record.owner)) {
        return not_srp(record.owner.to_text() + " is added to without being cleared first");
      }
      out.additions[record.owner].push_back(record);
    } else {
      return not_srp("it deletes a single RRset or record of " + record.owner.to_text());
    }
  }
  return std::nullopt;
}

std::optional<Refusal> read_host(std::vector<wire::Record> records, SrpRegistration& out) {
  unsigned keys = 0;
  for (wire::Record& record : records) {
    if (record.type == RRType::key) {
      ++keys;
      out.key_rdata = record.rdata;
    } else if (record.type != RRType::a && record.type != RRType::aaaa) {
      return not_srp("the host description holds " + to_text(record.type));
    }
  }
  if (keys != 1) return not_srp("the host description needs exactly one KEY");
  out.host_records = std::move(records);
  return std::nullopt;
}

std::optional<Refusal> read_service_description(std::vector<wire::Record> records,
                                                const SrpRegistration& registration,
                                                SrpService& out) {
  const std::string name = out.instance.to_text();
  unsigned locations = 0, texts = 0;
  for (wire::Record& record : records) {
    if (record.type == RRType::key) {
      // The host's key holds the instance's name as well; it is not stored twice.
      if (record.rdata != registration.key_rdata)
        return not_srp(name + " has another KEY than its host");
      continue;
    }
    if (record.type == RRType::srv) {
      const auto srv = wire::parse_srv(record.rdata);
      if (!srv.ok() || srv->target != registration.host)
        return not_srp(name + " has an SRV to another host");
      ++locations;
    } else if (record.type == RRType::txt) {
      ++texts;
    } else {
      return not_srp(name + " holds " + to_text(record.type));
    }
    out.records.push_back(std::move(record));
  }
  if (out.records.empty()) return std::nullopt;
  if (locations != 1 || texts == 0) return not_srp(name + " needs one SRV and a TXT");
  return std::nullopt;
}

std::optional<Refusal> read_services(Sorted& sorted, SrpRegistration& out) {
  for (const wire::Name& instance : sorted.cleared) {
    if (instance == out.host) continue;
    SrpService service{instance, {}};
    if (auto problem =
            read_service_description(std::move(sorted.additions[instance]), out, service)) {
      return problem;
    }
    const bool has_pointer = sorted.added_pointers.erase(instance) > 0;
    sorted.removed_pointers.erase(instance);
    if (has_pointer == service.is_removed()) {
      return not_srp(instance.to_text() + (has_pointer ? " has a PTR but no SRV" : " has no PTR"));
    }
    out.services.push_back(std::move(service));
  }
  if (!sorted.added_pointers.empty()) {
    return not_srp("a PTR leads to " + sorted.added_pointers.begin()->to_text() +
                   ", which it does not describe");
  }
  // A PTR alone may be deleted together with the instance that it leads to.
  for (const wire::Name& instance : sorted.removed_pointers) out.services.push_back({instance, {}});
  return std::nullopt;
}

}  // namespace

bool asks_to_be_srp(const wire::Message& message) {
  return message.edns && message.edns->find(wire::edns_code::update_lease);
}

std::variant<SrpRegistration, Refusal> read_srp(const wire::Message& message,
                                                const wire::Name& signer) {
  const auto lease =
      wire::parse_update_lease(message.edns->find(wire::edns_code::update_lease)->data);
  if (!lease) {
    return Refusal{wire::Rcode::formerr, wire::ExtendedError::other, "a malformed Update Lease"};
  }
  if (!message.answer.empty()) return not_srp("it has prerequisites");
  Sorted sorted;
  if (auto problem = sort_records(message, sorted)) return *std::move(problem);
  if (!sorted.cleared.contains(signer)) {
    return not_srp("it does not describe the host that signed it, " + signer.to_text());
  }
  SrpRegistration registration;
  registration.host = signer;
  registration.requested = *lease;
  if (auto problem = read_host(std::move(sorted.additions[signer]), registration))
    return *std::move(problem);
  if (auto problem = read_services(sorted, registration)) return *std::move(problem);
  return registration;
}

}  // namespace mutua::authority
