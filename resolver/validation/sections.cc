#include "resolver/validation/sections.h"

#include <algorithm>

namespace mutua::resolver {
namespace {

using wire::RRType;

constexpr std::size_t kMostRRsets = 128, kMostSignatures = 8;

SignedRRset* find_or_add(std::vector<SignedRRset>& all, const wire::Name& owner, RRType type) {
  for (SignedRRset& one : all)
    if (one.rrset.type == type && one.owner == owner) return &one;
  if (all.size() == kMostRRsets) return nullptr;
  return &all.emplace_back(SignedRRset{owner, {type, 0, {}}, {}});
}

}  // namespace

std::vector<SignedRRset> signed_rrsets(const std::vector<wire::Record>& section) {
  std::vector<SignedRRset> all;
  for (const wire::Record& record : section) {
    if (record.rclass != wire::RRClass::in) continue;
    const bool is_signature = record.type == RRType::rrsig;
    if (is_signature && record.rdata.size() < 2) continue;
    const RRType type =
        is_signature ? static_cast<RRType>(load_u16(record.rdata.data())) : record.type;
    SignedRRset* rrset = find_or_add(all, record.owner, type);
    if (!rrset) continue;
    if (is_signature) {
      if (rrset->signatures.size() < kMostSignatures) rrset->signatures.push_back(record.rdata);
      continue;
    }
    const bool is_first = rrset->rrset.rdatas.empty();
    rrset->rrset.ttl = is_first ? record.ttl : std::min(rrset->rrset.ttl, record.ttl);
    rrset->rrset.rdatas.push_back(record.rdata);
  }
  // Signatures of nothing.
  std::erase_if(all, [](const SignedRRset& one) { return one.rrset.rdatas.empty(); });
  for (SignedRRset& one : all) wire::normalize(one.rrset);
  return all;
}

const SignedRRset* find(const std::vector<SignedRRset>& all, const wire::Name& owner, RRType type) {
  for (const SignedRRset& one : all)
    if (one.rrset.type == type && one.owner == owner) return &one;
  return nullptr;
}

void append_records(std::vector<wire::Record>& out, const SignedRRset& rrset, std::uint32_t ttl) {
  for (const Bytes& rdata : rrset.rrset.rdatas)
    out.push_back({rrset.owner, rrset.rrset.type, wire::RRClass::in, ttl, rdata});
  for (const Bytes& rdata : rrset.signatures)
    out.push_back({rrset.owner, RRType::rrsig, wire::RRClass::in, ttl, rdata});
}

}  // namespace mutua::resolver
