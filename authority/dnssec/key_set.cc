#include "authority/dnssec/key_set.h"

namespace mutua::authority {
namespace {

using wire::RRType;

}  // namespace

bool is_about_keys(RRType type) {
  return type == RRType::dnskey || type == RRType::cds || type == RRType::cdnskey;
}

std::vector<const ZoneKey*> KeySet::signers_of(RRType type) const {
  std::vector<const ZoneKey*> signers;
  for (const KeyOnDuty& one : keys_)
    if (is_about_keys(type) ? one.signs_keys : one.signs_data) signers.push_back(&one.key);
  return signers;
}

std::vector<RRset> KeySet::key_rrsets(const wire::Name& apex) const {
  std::vector<RRset> rrsets{
      {RRType::dnskey, kKeyTtl, {}}, {RRType::cds, kKeyTtl, {}}, {RRType::cdnskey, kKeyTtl, {}}};
  for (const KeyOnDuty& one : keys_) {
    rrsets[0].rdatas.push_back(one.key.dnskey());
    if (!one.is_for_parent) continue;
    rrsets[1].rdatas.push_back(one.key.ds(apex));
    rrsets[2].rdatas.push_back(one.key.dnskey());
  }
  for (RRset& rrset : rrsets) normalize(rrset);
  return rrsets;
}

}  // namespace mutua::authority
