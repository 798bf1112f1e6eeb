#include "authority/zone/zone_from_records.h"

#include <algorithm>
#include <utility>

#include "authority/zone/zone_rules.h"

namespace mutua::authority {
namespace {

using wire::RRType;

bool same_folded(BytesView folded, BytesView given) {
  return std::ranges::equal(folded, given,
                            [](std::uint8_t a, std::uint8_t b) { return a == fold(b); });
}

std::vector<RRsetView> views_of(const std::vector<RRset>& rrsets) {
  return {rrsets.begin(), rrsets.end()};
}

}  // namespace

ZoneFromRecords::ZoneFromRecords(wire::Name apex) : draft_(new ZoneVersion) {
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
  const auto place = entry_places_.find(hash, [&](std::uint32_t candidate) {
    return same_folded(folded, entries_[candidate].given());
  });
  return place ? &entries_[*place] : nullptr;
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
    entry_places_.add(hash, static_cast<std::uint32_t>(entries_.size()));
    entries_.push_back({hash,
                        &given,
                        static_cast<std::uint8_t>(folded.size()),
                        is_first ? 0u : 1u,
                        {},
                        std::nullopt});
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
  const auto rrsets = views_of(entry.rrsets);
  draft_->rrset_count_ += rrsets.size();
  draft_->cut_count_ += cuts_at(owner, rrsets, draft_->apex_);
  if (find_in(rrsets, RRType::nsec)) draft_->nsec_owners_.insert(owner);
  if (find_in(rrsets, RRType::nsec3)) draft_->nsec3_owners_.insert(owner);
  return check_company(owner, rrsets);
}

// ---------------------------------------------------------------- contents

// From here on no entry is added, so that targets may point at them.
ZoneFromRecords::Target& ZoneFromRecords::target(BytesView folded, std::uint64_t hash) {
  const auto place = target_places_.find(hash, [&](std::uint32_t candidate) {
    return std::ranges::equal(folded, targets_[candidate].folded);
  });
  if (place) return targets_[*place];
  target_places_.add(hash, static_cast<std::uint32_t>(targets_.size()));
  return targets_.emplace_back(Target{hash, to_bytes(folded), find(folded, hash), {}});
}

void ZoneFromRecords::make_contents() {
  const AddressSource addresses = [&](BytesView folded, std::uint64_t hash,
                                      RRType type) -> std::optional<RRsetView> {
    const Entry* entry = target(folded, hash).entry;
    if (!entry) return std::nullopt;
    const auto found = std::ranges::find(entry->rrsets, type, &RRset::type);
    return found == entry->rrsets.end() ? std::nullopt : std::optional<RRsetView>(*found);
  };
  ReadyBlockMaker maker;
  for (Entry& entry : entries_) {
    std::ranges::sort(entry.rrsets, {}, &RRset::type);
    entry.content.emplace(entry.given(), views_of(entry.rrsets), addresses, maker);
    note_referrals(entry);
  }
}

void ZoneFromRecords::note_referrals(const Entry& entry) {
  const ReadyBlock block = (*entry.content)->ready();
  for (unsigned i = 0; i < block.size(); ++i) {
    const ReadyRRset& ready = block.at(i);
    for (const ReadyRRset::Target& one : ready.targets())
      note_referral(entry, ready.target_name(one));
    if (ready.record_count != 0) continue;
    // Too large for a message, so that nothing is prepared.
    const RRsetView rrset = ready.records();
    for (const wire::Name& name : targets_of({&rrset, 1}, draft_->apex_)) {
      const FoldedName folded(name);
      note_referral(entry, folded.wire());
    }
  }
}

void ZoneFromRecords::note_referral(const Entry& entry, BytesView folded) {
  auto& owners = target(folded, name_hash(folded)).owners;
  // Several RRsets of one owner may have the same target.
  if (owners.empty() || owners.back() != entry.hash) owners.push_back(entry.hash);
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
  const FoldedName& apex = draft_->folded_apex_;
  std::vector<std::unique_ptr<const Referrers>> all;
  for (Target& one : targets_) {
    FoldedName name;
    const bool whole = name.read(one.folded);
    BASE_ASSERT(whole);
    if (!name.is_at_or_below(apex.wire(), apex.label_count())) continue;
    one.owners.shrink_to_fit();
    all.push_back(std::make_unique<const Referrers>(name, std::move(one.owners)));
  }
  return NameTrie<Referrers>::of(std::move(all));
}

}  // namespace mutua::authority
