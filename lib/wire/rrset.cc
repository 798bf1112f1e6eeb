#include "wire/rrset.h"

#include <algorithm>
#include <utility>

#include "wire/rdata.h"

namespace mutua::wire {

std::uint32_t ttl_of(const RRset& rrset, BytesView rdata) {
  constexpr std::size_t kOriginalTtlAt = 4;  // of an RRSIG's RDATA
  if (rrset.type != RRType::rrsig || rdata.size() < kOriginalTtlAt + 4) return rrset.ttl;
  return load_u32(rdata.data() + kOriginalTtlAt);
}

void normalize(RRset& rrset) {
  std::vector<std::pair<Bytes, Bytes>> keyed;  // canonical form, given form
  keyed.reserve(rrset.rdatas.size());
  for (Bytes& rdata : rrset.rdatas) {
    Bytes canonical = canonical_rdata(rrset.type, rdata);
    keyed.emplace_back(std::move(canonical), std::move(rdata));
  }
  std::stable_sort(keyed.begin(), keyed.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  const auto last = std::unique(keyed.begin(), keyed.end(),
                                [](const auto& a, const auto& b) { return a.first == b.first; });
  rrset.rdatas.clear();
  for (auto it = keyed.begin(); it != last; ++it) rrset.rdatas.push_back(std::move(it->second));
}

}  // namespace mutua::wire
