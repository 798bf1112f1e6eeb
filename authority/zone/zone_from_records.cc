#include "authority/zone/zone_from_records.h"

#include <algorithm>
#include <utility>

#include "authority/zone/zone_rules.h"

namespace mutua::authority {
namespace {

using wire::RRType;

constexpr std::size_t kSmallestTable = 1024;

bool same_folded(BytesView folded, BytesView given) {
  return std::ranges::equal(folded, given,
                            [](std::uint8_t a, std::uint8_t b) { return a == fold(b); });
}

}  // namespace

ZoneFromRecords::ZoneFromRecords(wire::Name apex)
    : draft_(new ZoneVersion), table_(kSmallestTable, 0) {
  draft_->apex_ = std::move(apex);
  draft_->folded_apex_ = FoldedName(draft_->apex_);
}

Result<std::shared_ptr<const ZoneVersion>> ZoneFromRecords::make(std::vector<OwnedRRset> rrsets) {
  TRY(take(rrsets));
  make_contents();
  draft_->referrers_ = make_referrers();
  draft_->nodes_ = make_nodes();
  TRY(draft_->settle());
  return std::shared_ptr<const ZoneVersion>(std::move(draft_));
}

// ---------------------------------------------------------------- names

ZoneFromRecords::Entry* ZoneFromRecords::find(BytesView folded, std::uint64_t hash) {
  const std::size_t mask = table_.size() - 1;
  for (std::size_t at = hash & mask; table_[at] != 0; at = (at + 1) & mask) {
    Entry& entry = entries_[table_[at] - 1];
    if (entry.hash == hash && same_folded(folded, entry.given())) return &entry;
  }
  return nullptr;
}

void ZoneFromRecords::grow() {
  table_.assign(table_.size() * 2, 0);
  const std::size_t mask = table_.size() - 1;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    std::size_t at = entries_[i].hash & mask;
    while (table_[at] != 0) at = (at + 1) & mask;
    table_[at] = static_cast<std::uint32_t>(i + 1);
  }
}

ZoneFromRecords::Entry& ZoneFromRecords::need(const FoldedName& name, const wire::Name& given) {
  std::size_t first = 0;
  for (unsigned labels = name.label_count();; --labels) {
    const BytesView folded = name.suffix(labels);
    const std::uint64_t hash = name_hash(folded);
    Entry* entry = find(folded, hash);
    const bool is_first = labels == name.label_count();
    if (entry && is_first) return *entry;
    if (entry) {
      ++entry->children;
      return entries_[first];
    }
    if (is_first) first = entries_.size();
    if ((entries_.size() + 1) * 2 > table_.size()) grow();
    const std::size_t mask = table_.size() - 1;
    std::size_t at = hash & mask;
    while (table_[at] != 0) at = (at + 1) & mask;
    entries_.push_back({hash,
                        &given,
                        static_cast<std::uint8_t>(folded.size()),
                        is_first ? 0u : 1u,
                        {},
                        std::nullopt});
    table_[at] = static_cast<std::uint32_t>(entries_.size());
    if (folded.size() == draft_->folded_apex_.size()) return entries_[first];
  }
}

Result<void> ZoneFromRecords::take(std::vector<OwnedRRset>& rrsets) {
  need(draft_->folded_apex_, draft_->apex_);
  const FoldedName& apex = draft_->folded_apex_;
  for (OwnedRRset& owned : rrsets) {
    if (owned.rrset.rdatas.empty()) continue;
    const FoldedName name(owned.owner);
    if (!name.is_at_or_below(apex.wire(), apex.label_count()))
      return errorf("%s: outside the zone %s", owned.owner.to_text().c_str(),
                    draft_->apex_.to_text().c_str());
    Entry& entry = need(name, owned.owner);
    if (entry.rrsets.empty()) entry.below = &owned.owner;  // its letters, not those of a name below
    for (const RRset& present : entry.rrsets)
      if (present.type == owned.rrset.type)
        return errorf("%s: two RRsets of type %s", owned.owner.to_text().c_str(),
                      to_text(present.type).c_str());
    normalize(owned.rrset);
    entry.rrsets.push_back(std::move(owned.rrset));
  }
  for (const Entry& entry : entries_) TRY(check(entry));
  return {};
}

Result<void> ZoneFromRecords::check(const Entry& entry) {
  if (entry.rrsets.empty()) return {};
  const wire::Name& owner = *entry.below;
  draft_->rrset_count_ += entry.rrsets.size();
  draft_->cut_count_ += cuts_at(owner, entry.rrsets, draft_->apex_);
  if (std::ranges::find(entry.rrsets, RRType::nsec, &RRset::type) != entry.rrsets.end())
    draft_->nsec_owners_.insert(owner);
  return check_company(owner, entry.rrsets);
}

// ---------------------------------------------------------------- contents

void ZoneFromRecords::make_contents() {
  // The addresses of one target are asked for by type, one after the other.
  const Entry* last_found = nullptr;
  const AddressSource addresses = [&](BytesView folded, std::uint64_t hash,
                                      RRType type) -> const RRset* {
    if (!last_found || last_found->hash != hash || !same_folded(folded, last_found->given()))
      last_found = find(folded, hash);
    if (!last_found) return nullptr;
    const auto all = last_found->all();
    const auto found = std::ranges::find(all, type, &RRset::type);
    return found == all.end() ? nullptr : &*found;
  };
  for (Entry& entry : entries_) {
    std::ranges::sort(entry.rrsets, {}, &RRset::type);
    entry.rrsets.shrink_to_fit();
    const wire::Name owner = wire::Name::from_wire(entry.given()).value();
    entry.content.emplace(owner, std::move(entry.rrsets), addresses);
    note_referrals(entry);
  }
}

void ZoneFromRecords::note_referrals(const Entry& entry) {
  const FoldedName& apex = draft_->folded_apex_;
  const ReadyBlock block = (*entry.content)->ready();
  for (unsigned i = 0; i < block.size(); ++i) {
    const ReadyRRset& ready = block.at(i);
    if (ready.record_count == 0) {  // too large for a message, so that nothing is prepared
      for (const wire::Name& target : targets_of((*entry.content)->rrsets(), draft_->apex_)) {
        const auto& folded = *long_targets_.emplace_back(std::make_unique<FoldedName>(target));
        referrals_.push_back({name_hash(folded.wire()), entry.hash, folded.wire()});
      }
      continue;
    }
    for (const ReadyRRset::Target& target : ready.targets()) {
      const BytesView folded = ready.target_name(target);
      FoldedName name;
      if (name.read(folded) && name.is_at_or_below(apex.wire(), apex.label_count()))
        referrals_.push_back({target.hash, entry.hash, folded});
    }
  }
}

// ---------------------------------------------------------------- tries

NameTrie<ZoneNode> ZoneFromRecords::make_nodes() {
  std::vector<std::unique_ptr<const ZoneNode>> nodes;
  nodes.reserve(entries_.size());
  for (Entry& entry : entries_)
    nodes.push_back(
        std::make_unique<const ZoneNode>(*std::move(entry.content), entry.children, entry.hash));
  return NameTrie<ZoneNode>::of(std::move(nodes));
}

NameTrie<Referrers> ZoneFromRecords::make_referrers() {
  const auto is_same_target = [](const Referral& a, const Referral& b) {
    return a.target_hash == b.target_hash && std::ranges::equal(a.target, b.target);
  };
  std::ranges::sort(referrals_, [](const Referral& a, const Referral& b) {
    if (a.target_hash != b.target_hash) return a.target_hash < b.target_hash;
    if (!std::ranges::equal(a.target, b.target))
      return std::ranges::lexicographical_compare(a.target, b.target);
    return a.owner_hash < b.owner_hash;
  });
  std::vector<std::unique_ptr<const Referrers>> all;
  for (auto first = referrals_.begin(); first != referrals_.end();) {
    std::vector<std::uint64_t> owners;
    auto next = first;
    for (; next != referrals_.end() && is_same_target(*first, *next); ++next)
      if (owners.empty() || owners.back() != next->owner_hash) owners.push_back(next->owner_hash);
    owners.shrink_to_fit();
    FoldedName target;
    const bool whole = target.read(first->target);
    BASE_ASSERT(whole);
    all.push_back(std::make_unique<const Referrers>(target, std::move(owners)));
    first = next;
  }
  return NameTrie<Referrers>::of(std::move(all));
}

}  // namespace mutua::authority
