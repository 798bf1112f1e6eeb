#include "authority/zone/zone_version.h"

#include <algorithm>
#include <list>
#include <map>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>

#include "authority/zone/zone_from_records.h"
#include "authority/zone/zone_rules.h"
#include "base/thread_scheduling.h"
#include "wire/rdata.h"

namespace mutua::authority {
namespace {

using wire::RRType;

using Views = std::span<const RRsetView>;

}  // namespace

// Makes a version from the one before: a draft that shares its tries with the version that it
// started from, until changed.
class ZoneVersionBuilder {
 public:
  explicit ZoneVersionBuilder(const ZoneVersion& version) : draft_(new ZoneVersion(version)) {}

  // What stands at `owner` in the draft.
  const ZoneNode* node(const wire::Name& owner) const { return draft_->node(owner); }

  // Makes `after` all that `owner` owns, in the place of `before`; either may show records of the
  // node that goes. Empty non-terminals come and go with it.
  Result<void> replace(const wire::Name& owner, Views before, Views after) {
    if (!owner.is_at_or_below(draft_->apex_))
      return errorf("%s: outside the zone %s", owner.to_text().c_str(),
                    draft_->apex_.to_text().c_str());
    TRY(check_company(owner, after));
    const ZoneNode* present = node(owner);
    uncount(owner, before);
    count(owner, after);
    note_referrals(owner, before, after);
    note_nsec(owner, before, after);
    const std::uint32_t children = present ? present->children() : 0;
    if (after.empty() && children == 0 && owner != draft_->apex_) {
      if (present) remove(owner);
      return {};
    }
    const bool is_new = !present;
    put_node(present ? present->owner() : owner, after, children);
    if (is_new) add_child(owner.parent());
    return {};
  }

  Result<std::shared_ptr<const ZoneVersion>> finish(Renewal renewal) {
    for (auto& [target, owners] : new_referrers_) put_referrers(target, std::move(owners));
    if (renewal == Renewal::now) renew_answers();
    TRY(draft_->settle());
    return std::shared_ptr<const ZoneVersion>(std::move(draft_));
  }

  std::shared_ptr<const ZoneVersion> finish_renewed() {
    renew_answers();
    return std::shared_ptr<const ZoneVersion>(std::move(draft_));
  }

 private:
  void count(const wire::Name& owner, Views rrsets) {
    draft_->rrset_count_ += rrsets.size();
    draft_->cut_count_ += cuts_at(owner, rrsets, draft_->apex_);
  }
  void uncount(const wire::Name& owner, Views rrsets) {
    draft_->rrset_count_ -= rrsets.size();
    draft_->cut_count_ -= cuts_at(owner, rrsets, draft_->apex_);
  }
  AddressSource addresses() const {
    return [this](BytesView folded, std::uint64_t hash, RRType type) {
      const ZoneNode* found = draft_->node(folded, hash);
      return found ? found->find(type) : std::nullopt;
    };
  }

  void put_node(const wire::Name& owner, Views rrsets, std::uint32_t children) {
    draft_->nodes_.put(std::make_unique<const ZoneNode>(
        NodeContent::Reference(owner.wire(), rrsets, addresses(), maker_), children));
  }

  // Keeps account of who refers to whom, and of the names whose addresses others carry and that
  // have others now.
  void note_referrals(const wire::Name& owner, Views before, Views after) {
    const auto targets_before = targets_of(before, draft_->apex_);
    const auto targets_after = targets_of(after, draft_->apex_);
    const std::uint64_t hash = name_hash(FoldedName(owner).wire());
    for (const wire::Name& target : targets_before)
      if (!targets_after.contains(target)) remove_referrer(target, hash);
    for (const wire::Name& target : targets_after)
      if (!targets_before.contains(target)) new_referrers_[target].push_back(hash);
    // Who will refer to it only later in this draft will find its addresses as they are then.
    const bool is_referred_to = new_referrers_.contains(owner) || referrers(FoldedName(owner));
    const auto moved = [&](RRType type) { return find_in(before, type) != find_in(after, type); };
    if (is_referred_to && (moved(RRType::a) || moved(RRType::aaaa) || moved(RRType::rrsig)))
      draft_->moved_.insert(owner);
  }

  void note_nsec(const wire::Name& owner, Views before, Views after) {
    for (const RRType type : {RRType::nsec, RRType::nsec3}) {
      const bool had = find_in(before, type).has_value(), has = find_in(after, type).has_value();
      NameOrder& owners = type == RRType::nsec ? draft_->nsec_owners_ : draft_->nsec3_owners_;
      if (has && !had) owners.insert(owner);
      if (had && !has) owners.erase(owner);
    }
  }

  const Referrers* referrers(const FoldedName& target) const {
    return draft_->referrers_.find(target.wire(), name_hash(target.wire()));
  }

  void put_referrers(const wire::Name& target, std::vector<std::uint64_t> more) {
    const FoldedName folded(target);
    if (const Referrers* present = referrers(folded))
      more.insert(more.end(), present->owners().begin(), present->owners().end());
    draft_->referrers_.put(std::make_unique<const Referrers>(folded, std::move(more)));
  }

  void remove_referrer(const wire::Name& target, std::uint64_t owner) {
    const auto drop_one = [&](std::vector<std::uint64_t>& owners) {
      const auto at = std::find(owners.begin(), owners.end(), owner);
      if (at == owners.end()) return false;
      *at = owners.back();
      owners.pop_back();
      return true;
    };
    const auto added = new_referrers_.find(target);
    if (added != new_referrers_.end() && drop_one(added->second)) return;
    const FoldedName folded(target);
    const Referrers* present = referrers(folded);
    BASE_ASSERT(present);
    std::vector<std::uint64_t> owners = present->owners();
    const bool dropped = drop_one(owners);
    BASE_ASSERT(dropped);
    if (owners.empty())
      draft_->referrers_.erase(folded.wire(), name_hash(folded.wire()));
    else
      draft_->referrers_.put(std::make_unique<const Referrers>(folded, std::move(owners)));
  }

  // Puts the addresses of all that moved, as they are now, into the answers that carry them.
  void renew_answers() {
    std::vector<const ZoneNode*> nodes;  // found first: the trie changes below
    for (const wire::Name& target : draft_->moved_) {
      const Referrers* all = referrers(FoldedName(target));
      if (!all) continue;
      for (const std::uint64_t owner : all->owners())
        draft_->nodes_.for_each_with_hash(owner,
                                          [&](const ZoneNode& found) { nodes.push_back(&found); });
    }
    std::ranges::sort(nodes);
    nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
    const AddressSource source = addresses();
    for (const ZoneNode* found : nodes) {
      draft_->nodes_.put(std::make_unique<const ZoneNode>(
          NodeContent::Reference(found->given_owner(), found->rrsets(), source, maker_),
          found->children(), found->hash()));
      give_way();
    }
    draft_->moved_.clear();
  }

  void add_child(const wire::Name& parent) {
    const ZoneNode* present = node(parent);
    if (present) return set_children(*present, present->children() + 1);
    put_node(parent, {}, 1);
    add_child(parent.parent());
  }

  void remove(const wire::Name& owner) {
    const FoldedName folded(owner);
    draft_->nodes_.erase(folded.wire(), name_hash(folded.wire()));
    const wire::Name parent = owner.parent();
    const ZoneNode* above = node(parent);
    BASE_ASSERT(above && above->children() > 0);
    if (above->children() == 1 && !above->has_records() && parent != draft_->apex_)
      return remove(parent);
    set_children(*above, above->children() - 1);
  }

  void set_children(const ZoneNode& node, std::uint32_t children) {
    draft_->nodes_.put(std::make_unique<const ZoneNode>(node.content(), children));
  }

  std::unique_ptr<ZoneVersion> draft_;
  std::unordered_map<wire::Name, std::vector<std::uint64_t>>
      new_referrers_;  // not in the draft yet
  ReadyBlockMaker maker_;
};

const ZoneNode* ZoneVersion::node(const wire::Name& name) const {
  const FoldedName folded(name);
  return node(folded.wire());
}

std::optional<RRset> ZoneVersion::find(const wire::Name& name, RRType type) const {
  const ZoneNode* found = node(name);
  const ReadyRRset* ready = found ? found->ready(type) : nullptr;
  return ready ? std::optional(ready->records().copy()) : std::nullopt;
}

Result<std::shared_ptr<const ZoneVersion>> ZoneVersion::create(wire::Name apex,
                                                               std::vector<OwnedRRset> rrsets) {
  return ZoneFromRecords(std::move(apex)).make(std::move(rrsets));
}

Result<void> ZoneVersion::settle() {
  const auto soa = find(apex_, RRType::soa);
  if (!soa || soa->rdatas.size() != 1)
    return errorf("%s: a zone needs one SOA at its apex", apex_.to_text().c_str());
  if (!find(apex_, RRType::ns))
    return errorf("%s: a zone needs an NS at its apex", apex_.to_text().c_str());
  const wire::Soa parsed = TRY(wire::parse_soa(soa->rdatas.front()));
  serial_ = parsed.serial;
  settle_denial();
  negative_soa_rrset_ = *soa;
  negative_soa_rrset_.ttl = std::min(soa->ttl, parsed.minimum);
  negative_soa_ = make_ready(apex_.wire(), negative_soa_rrset_);
  return {};
}

// The DNSKEY comes last and goes first. Where there are two chains, an NSEC3PARAM says that its own is
// whole and counts (RFC 5155 sections 10.4 and 10.5).
void ZoneVersion::settle_denial() {
  denial_ = Denial::none;
  nsec3_salt_.clear();
  if (!find(apex_, RRType::dnskey)) return;
  if (find(apex_, RRType::nsec)) denial_ = Denial::nsec;
  const auto parameters = find(apex_, RRType::nsec3param);
  if (!parameters || nsec3_owners_.empty()) return;
  auto parsed = wire::parse_nsec3param(parameters->rdatas.front());
  if (!parsed || !parsed->is_plain()) return;
  denial_ = Denial::nsec3;
  nsec3_salt_ = std::move(parsed->salt);
}

Result<std::shared_ptr<const ZoneVersion>> ZoneVersion::apply(const ChangeSet& change,
                                                              Renewal renewal) const {
  if (change.from != serial_)
    return errorf("apply to %s: the change starts from serial %u, not %u", apex_.to_text().c_str(),
                  change.from, serial_);
  std::map<wire::Name, std::vector<const RRsetChange*>> by_owner;
  for (const RRsetChange& one : change.changes) by_owner[one.owner].push_back(&one);

  ZoneVersionBuilder builder(*this);
  for (const auto& [owner, changes] : by_owner) {
    const ZoneNode* present = builder.node(owner);
    const auto before = present ? present->rrsets() : std::vector<RRsetView>();
    auto after = before;
    std::list<RRset> made;  // which `after` shows
    for (const RRsetChange* one : changes) {
      const auto at = std::ranges::find(after, one->type, &RRsetView::type);
      const bool as_expected = at == after.end()
                                   ? !one->before
                                   : one->before.has_value() && RRsetView(*one->before) == *at;
      if (!as_expected)
        return errorf("apply to %s: %s %s is not what the change starts from",
                      apex_.to_text().c_str(), owner.to_text().c_str(), to_text(one->type).c_str());
      if (at != after.end()) after.erase(at);
      if (!one->after || one->after->rdatas.empty()) continue;
      RRset& rrset = made.emplace_back(*one->after);
      rrset.type = one->type;
      normalize(rrset);
      after.emplace_back(rrset);
    }
    std::ranges::sort(after, {}, &RRsetView::type);
    TRY(builder.replace(owner, before, after));
    give_way();
  }
  const auto next = TRY(builder.finish(renewal));
  if (next->serial() != change.to)
    return errorf("apply to %s: the SOA says serial %u, the change %u", apex_.to_text().c_str(),
                  next->serial(), change.to);
  return next;
}

std::shared_ptr<const ZoneVersion> ZoneVersion::renewed() const {
  BASE_ASSERT(!is_renewed());
  return ZoneVersionBuilder(*this).finish_renewed();
}

std::shared_ptr<const ZoneVersion> ZoneVersion::expired(const ZoneVersion& version) {
  std::unique_ptr<ZoneVersion> copy(new ZoneVersion(version));
  copy->is_expired_ = true;
  return copy;
}

void ZoneVersion::for_each(
    const std::function<void(const wire::Name& owner, const RRsetView& rrset)>& visit) const {
  nodes_.for_each([&](const ZoneNode& node) {
    if (!node.has_records()) return;
    const wire::Name owner = node.owner();
    for (const RRsetView& rrset : node.rrsets()) visit(owner, rrset);
  });
}

}  // namespace mutua::authority
