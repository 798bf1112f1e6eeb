#include "zone_transfer/rrsets.h"

#include <algorithm>
#include <map>
#include <utility>

#include "wire/rdata.h"

namespace mutua::zone_transfer {

using wire::RRset;
using wire::RRType;

void add_to(RRset& rrset, wire::Record record) {
  rrset.type = record.type;
  // RRSIGs have the TTL of what they cover, each its own (ttl_of()).
  rrset.ttl = record.type == RRType::rrsig ? 0 : record.ttl;
  rrset.rdatas.push_back(std::move(record.rdata));
}

bool remove_from(RRset& rrset, const wire::Record& record) {
  auto at = std::find(rrset.rdatas.begin(), rrset.rdatas.end(), record.rdata);
  if (at == rrset.rdatas.end()) {  // perhaps with other letters
    const Bytes canonical = wire::canonical_rdata(record.type, record.rdata);
    at = std::find_if(rrset.rdatas.begin(), rrset.rdatas.end(), [&](const Bytes& one) {
      return wire::canonical_rdata(record.type, one) == canonical;
    });
  }
  if (at == rrset.rdatas.end()) return false;
  rrset.rdatas.erase(at);
  return true;
}

std::vector<wire::OwnedRRset> rrsets_of(std::vector<wire::Record> records) {
  std::map<std::pair<wire::Name, RRType>, RRset> by_place;
  for (wire::Record& record : records) {
    RRset& rrset = by_place[{record.owner, record.type}];
    add_to(rrset, std::move(record));
  }
  std::vector<wire::OwnedRRset> rrsets;
  rrsets.reserve(by_place.size());
  for (auto& [place, rrset] : by_place) {
    normalize(rrset);
    rrsets.push_back({place.first, std::move(rrset)});
  }
  return rrsets;
}

}  // namespace mutua::zone_transfer
