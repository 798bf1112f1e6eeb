#include "authority/zone/zone_version.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

namespace mutua::authority {
namespace {

using wire::RRType;

std::unique_ptr<const ZoneNode> make_node(const wire::Name& owner, std::vector<RRset> rrsets,
                                          std::uint32_t children) {
  std::sort(rrsets.begin(), rrsets.end(),
            [](const RRset& a, const RRset& b) { return a.type < b.type; });
  return std::make_unique<const ZoneNode>(
      std::make_shared<const NodeContent>(owner, std::move(rrsets)), children);
}

// RFC 1034 section 3.6.2: where a CNAME is, nothing else is, but for what DNSSEC puts beside it.
Result<void> check_company(const wire::Name& owner, const std::vector<RRset>& rrsets) {
  const auto cname = std::find_if(rrsets.begin(), rrsets.end(),
                                  [](const RRset& rrset) { return rrset.type == RRType::cname; });
  if (cname == rrsets.end()) return {};
  if (cname->rdatas.size() > 1) return errorf("%s: more than one CNAME", owner.to_text().c_str());
  for (const RRset& rrset : rrsets) {
    if (rrset.type != RRType::cname && rrset.type != RRType::rrsig && rrset.type != RRType::nsec)
      return errorf("%s: %s beside a CNAME", owner.to_text().c_str(), to_text(rrset.type).c_str());
  }
  return {};
}

}  // namespace

// The one place where versions are made: a draft that shares its trie with the version that it
// started from, until changed.
class ZoneVersionBuilder {
 public:
  explicit ZoneVersionBuilder(const wire::Name& apex) : draft_(new ZoneVersion) {
    draft_->apex_ = apex;
    draft_->folded_apex_ = FoldedName(apex);
    draft_->nodes_.put(make_node(apex, {}, 0));
  }
  explicit ZoneVersionBuilder(const ZoneVersion& version) : draft_(new ZoneVersion(version)) {}

  // What stands at `owner` in the draft.
  const ZoneNode* node(const wire::Name& owner) const { return draft_->node(owner); }

  // Makes `rrsets` all that `owner` owns. Empty non-terminals come and go with it.
  Result<void> replace(const wire::Name& owner, std::vector<RRset> rrsets) {
    if (!owner.is_at_or_below(draft_->apex_))
      return errorf("%s: outside the zone %s", owner.to_text().c_str(),
                    draft_->apex_.to_text().c_str());
    TRY(check_company(owner, rrsets));
    const ZoneNode* present = node(owner);
    if (present) uncount(owner, present->rrsets());
    count(owner, rrsets);
    const std::uint32_t children = present ? present->children() : 0;
    if (rrsets.empty() && children == 0 && owner != draft_->apex_) {
      if (present) remove(owner);
      return {};
    }
    const bool is_new = !present;
    draft_->nodes_.put(make_node(present ? present->owner() : owner, std::move(rrsets), children));
    if (is_new) add_child(owner.parent());
    return {};
  }

  Result<std::shared_ptr<const ZoneVersion>> finish() {
    const RRset* soa = draft_->find(draft_->apex_, RRType::soa);
    if (!soa || soa->rdatas.size() != 1)
      return errorf("%s: a zone needs one SOA at its apex", draft_->apex_.to_text().c_str());
    if (!draft_->find(draft_->apex_, RRType::ns))
      return errorf("%s: a zone needs an NS at its apex", draft_->apex_.to_text().c_str());
    const wire::Soa parsed = TRY(wire::parse_soa(soa->rdatas.front()));
    draft_->serial_ = parsed.serial;
    draft_->negative_soa_rrset_ = *soa;
    draft_->negative_soa_rrset_.ttl = std::min(soa->ttl, parsed.minimum);
    draft_->negative_soa_ = make_ready(draft_->apex_, draft_->negative_soa_rrset_, 0);
    return std::shared_ptr<const ZoneVersion>(std::move(draft_));
  }

 private:
  void count(const wire::Name& owner, std::span<const RRset> rrsets) {
    draft_->rrset_count_ += rrsets.size();
    draft_->cut_count_ += cuts(owner, rrsets);
  }
  void uncount(const wire::Name& owner, std::span<const RRset> rrsets) {
    draft_->rrset_count_ -= rrsets.size();
    draft_->cut_count_ -= cuts(owner, rrsets);
  }
  std::size_t cuts(const wire::Name& owner, std::span<const RRset> rrsets) const {
    return static_cast<std::size_t>(
        std::count_if(rrsets.begin(), rrsets.end(), [&](const RRset& rrset) {
          return rrset.type == RRType::dname ||
                 (rrset.type == RRType::ns && owner != draft_->apex_);
        }));
  }

  void add_child(const wire::Name& parent) {
    const ZoneNode* present = node(parent);
    if (present) return set_children(*present, present->children() + 1);
    draft_->nodes_.put(make_node(parent, {}, 1));
    add_child(parent.parent());
  }

  void remove(const wire::Name& owner) {
    const FoldedName folded(owner);
    draft_->nodes_.erase(folded.wire(), name_hash(folded.wire()));
    const wire::Name parent = owner.parent();
    const ZoneNode* above = node(parent);
    BASE_ASSERT(above && above->children() > 0);
    if (above->children() == 1 && above->rrsets().empty() && parent != draft_->apex_)
      return remove(parent);
    set_children(*above, above->children() - 1);
  }

  void set_children(const ZoneNode& node, std::uint32_t children) {
    draft_->nodes_.put(std::make_unique<const ZoneNode>(node.content(), children));
  }

  std::unique_ptr<ZoneVersion> draft_;
};

const ZoneNode* ZoneVersion::node(const wire::Name& name) const {
  const FoldedName folded(name);
  return node(folded.wire());
}

Result<std::shared_ptr<const ZoneVersion>> ZoneVersion::create(wire::Name apex,
                                                               std::vector<OwnedRRset> rrsets) {
  std::unordered_map<wire::Name, std::vector<RRset>> by_owner;
  for (OwnedRRset& owned : rrsets) {
    if (owned.rrset.rdatas.empty()) continue;
    normalize(owned.rrset);
    std::vector<RRset>& at_owner = by_owner[owned.owner];
    for (const RRset& present : at_owner) {
      if (present.type == owned.rrset.type)
        return errorf("%s: two RRsets of type %s", owned.owner.to_text().c_str(),
                      to_text(present.type).c_str());
    }
    at_owner.push_back(std::move(owned.rrset));
  }
  ZoneVersionBuilder builder(apex);
  for (auto& [owner, owned] : by_owner) TRY(builder.replace(owner, std::move(owned)));
  return builder.finish();
}

Result<std::shared_ptr<const ZoneVersion>> ZoneVersion::apply(const ChangeSet& change) const {
  if (change.from != serial_)
    return errorf("apply to %s: the change starts from serial %u, not %u", apex_.to_text().c_str(),
                  change.from, serial_);
  std::map<wire::Name, std::vector<const RRsetChange*>> by_owner;
  for (const RRsetChange& one : change.changes) by_owner[one.owner].push_back(&one);

  ZoneVersionBuilder builder(*this);
  for (const auto& [owner, changes] : by_owner) {
    std::vector<RRset> rrsets;
    if (const ZoneNode* present = builder.node(owner))
      rrsets.assign(present->rrsets().begin(), present->rrsets().end());
    for (const RRsetChange* one : changes) {
      const auto at = std::find_if(rrsets.begin(), rrsets.end(),
                                   [&](const RRset& rrset) { return rrset.type == one->type; });
      const bool as_expected =
          at == rrsets.end() ? !one->before : one->before.has_value() && *one->before == *at;
      if (!as_expected)
        return errorf("apply to %s: %s %s is not what the change starts from",
                      apex_.to_text().c_str(), owner.to_text().c_str(), to_text(one->type).c_str());
      if (at != rrsets.end()) rrsets.erase(at);
      if (!one->after || one->after->rdatas.empty()) continue;
      rrsets.push_back(*one->after);
      rrsets.back().type = one->type;
      normalize(rrsets.back());
    }
    TRY(builder.replace(owner, std::move(rrsets)));
  }
  const auto next = TRY(builder.finish());
  if (next->serial() != change.to)
    return errorf("apply to %s: the SOA says serial %u, the change %u", apex_.to_text().c_str(),
                  next->serial(), change.to);
  return next;
}

void ZoneVersion::for_each(
    const std::function<void(const wire::Name& owner, const RRset& rrset)>& visit) const {
  nodes_.for_each([&](const ZoneNode& node) {
    for (const RRset& rrset : node.rrsets()) visit(node.owner(), rrset);
  });
}

}  // namespace mutua::authority
