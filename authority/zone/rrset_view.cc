#include "authority/zone/rrset_view.h"

#include <algorithm>
#include <iterator>

namespace mutua::authority {

std::size_t RRsetView::size() const {
  return static_cast<std::size_t>(std::ranges::distance(begin_, end_));
}

std::uint32_t RRsetView::ttl_of(BytesView rdata) const {
  constexpr std::size_t kOriginalTtlAt = 4;  // of an RRSIG's RDATA
  if (type_ != wire::RRType::rrsig || rdata.size() < kOriginalTtlAt + 4) return ttl_;
  return load_u32(rdata.data() + kOriginalTtlAt);
}

RRset RRsetView::copy() const {
  RRset rrset{type_, ttl(), {}};
  rrset.rdatas.reserve(size());
  for (const BytesView rdata : *this) rrset.rdatas.push_back(to_bytes(rdata));
  return rrset;
}

bool RRsetView::operator==(const RRsetView& other) const {
  return type_ == other.type_ && ttl() == other.ttl() &&
         std::ranges::equal(*this, other,
                            [](BytesView a, BytesView b) { return std::ranges::equal(a, b); });
}

std::optional<RRsetView> find_in(std::span<const RRsetView> rrsets, wire::RRType type) {
  const auto found = std::ranges::find(rrsets, type, &RRsetView::type);
  return found == rrsets.end() ? std::nullopt : std::optional(*found);
}

}  // namespace mutua::authority
