#include "authority/update/prerequisites.h"

#include <map>
#include <string>
#include <utility>

namespace mutua::authority {
namespace {

using wire::Rcode;
using wire::Record;
using wire::RRClass;
using wire::RRType;

using Problem = std::optional<Refusal>;

Refusal failed(Rcode rcode, const Record& record, const char* what) {
  return {rcode, wire::ExtendedError::other,
          "prerequisite: " + record.owner.to_text() + " " + to_text(record.type) + ": " + what};
}

// A name is in use when it owns a record; empty non-terminals and wildcards do not count
// (section 2.4.4).
bool is_in_use(const ZoneVersion& version, const wire::Name& name) {
  const ZoneNode* node = version.node(name);
  return node && node->has_records();
}

Problem check_exists(const Record& record, const ZoneVersion& version) {
  if (record.type == RRType::any) {
    if (is_in_use(version, record.owner)) return std::nullopt;
    return failed(Rcode::nxdomain, record, "the name is not in use");
  }
  if (version.find(record.owner, record.type)) return std::nullopt;
  return failed(Rcode::nxrrset, record, "there is no such RRset");
}

Problem check_absent(const Record& record, const ZoneVersion& version) {
  if (record.type == RRType::any) {
    if (!is_in_use(version, record.owner)) return std::nullopt;
    return failed(Rcode::yxdomain, record, "the name is in use");
  }
  if (!version.find(record.owner, record.type)) return std::nullopt;
  return failed(Rcode::yxrrset, record, "there is such an RRset");
}

}  // namespace

Problem check_prerequisites(const wire::Message& message, const ZoneVersion& version) {
  std::map<std::pair<wire::Name, RRType>, RRset> expected;
  for (const Record& record : message.answer) {
    const bool may_be_any = record.rclass != RRClass::in;
    if (record.ttl != 0) return failed(Rcode::formerr, record, "the TTL is not 0");
    if (!record.owner.is_at_or_below(version.apex())) {
      return failed(Rcode::notzone, record, "outside the zone");
    }
    if (is_meta(record.type) && !(may_be_any && record.type == RRType::any)) {
      return failed(Rcode::formerr, record, "no type of data");
    }
    if (may_be_any && !record.rdata.empty()) {
      return failed(Rcode::formerr, record, "data where none belongs");
    }
    Problem problem;
    switch (record.rclass) {
      case RRClass::any:
        problem = check_exists(record, version);
        break;
      case RRClass::none:
        problem = check_absent(record, version);
        break;
      case RRClass::in: {
        RRset& rrset = expected[{record.owner, record.type}];
        rrset.type = record.type;
        rrset.rdatas.push_back(record.rdata);
        break;
      }
      default:
        problem = failed(Rcode::formerr, record, "not the zone's class");
        break;
    }
    if (problem) return problem;
  }
  // Whole RRsets, compared without regard to TTLs, order and the letter case of names.
  for (auto& [place, rrset] : expected) {
    normalize(rrset);
    const auto present = version.find(place.first, place.second);
    bool same = present && present->rdatas.size() == rrset.rdatas.size();
    for (std::size_t i = 0; same && i < rrset.rdatas.size(); ++i) {
      same = wire::canonical_rdata(place.second, present->rdatas[i]) ==
             wire::canonical_rdata(place.second, rrset.rdatas[i]);
    }
    if (!same) {
      return Refusal{Rcode::nxrrset, wire::ExtendedError::other,
                     "prerequisite: " + place.first.to_text() + " " + to_text(place.second) +
                         ": the RRset holds something else"};
    }
  }
  return std::nullopt;
}

}  // namespace mutua::authority
