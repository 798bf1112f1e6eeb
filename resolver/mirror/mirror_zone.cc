#include "resolver/mirror/mirror_zone.h"

#include <algorithm>
#include <map>
#include <utility>

#include "wire/rdata.h"
#include "zone_transfer/rrsets.h"

namespace mutua::resolver {
namespace {

using wire::Name;
using wire::Record;
using wire::RRset;
using wire::RRType;

// The names that differences touch, on top of a version.
class Edits {
 public:
  explicit Edits(const MirrorZone& base) : base_(base) {}

  Result<void> remove(const Record& record) {
    auto& rrsets = node(record.owner).rrsets;
    const auto found = std::ranges::find(rrsets, record.type, &RRset::type);
    if (found == rrsets.end() || !zone_transfer::remove_from(*found, record))
      return Error("a difference removes " + record.owner.to_text() + " " + to_text(record.type) +
                   ", which is not there");
    if (found->rdatas.empty()) rrsets.erase(found);
    return {};
  }

  void add(Record record) {
    auto& rrsets = node(record.owner).rrsets;
    auto found = std::ranges::find(rrsets, record.type, &RRset::type);
    if (found == rrsets.end()) found = rrsets.insert(rrsets.end(), RRset{record.type, 0, {}});
    zone_transfer::add_to(*found, std::move(record));
  }

  // The nodes of the base with these in their places.
  std::vector<MirrorZone::Node> finish() {
    std::vector<MirrorZone::Node> merged;
    merged.reserve(base_.nodes().size() + edited_.size());
    auto edit = edited_.begin();
    for (const MirrorZone::Node& present : base_.nodes()) {
      for (; edit != edited_.end() && edit->first < present->owner; ++edit)
        put(merged, edit->second);
      if (edit != edited_.end() && edit->first == present->owner) {
        put(merged, (edit++)->second, present);
      } else {
        merged.push_back(present);
      }
    }
    for (; edit != edited_.end(); ++edit) put(merged, edit->second);
    return merged;
  }

 private:
  MirrorNode& node(const Name& owner) {
    const auto [at, is_new] = edited_.try_emplace(owner);
    if (!is_new) return at->second;
    const MirrorNode* present = base_.find(owner);
    at->second = present ? *present : MirrorNode{owner, {}};
    return at->second;
  }

  static void put(std::vector<MirrorZone::Node>& out, MirrorNode& edited,
                  const MirrorZone::Node& before = nullptr) {
    if (edited.rrsets.empty()) return;
    for (RRset& rrset : edited.rrsets) normalize(rrset);
    std::ranges::sort(edited.rrsets, {}, &RRset::type);
    if (before && before->rrsets == edited.rrsets) return out.push_back(before);
    out.push_back(std::make_shared<const MirrorNode>(std::move(edited)));
  }

  const MirrorZone& base_;
  std::map<Name, MirrorNode> edited_;
};

}  // namespace

const RRset* MirrorNode::find(RRType type) const {
  const auto found = std::ranges::find(rrsets, type, &RRset::type);
  return found == rrsets.end() ? nullptr : &*found;
}

SignedRRset signed_rrset(const MirrorNode& node, const RRset& rrset) {
  constexpr std::size_t kMostSignatures = 8;
  SignedRRset made{node.owner, rrset, {}};
  if (const RRset* signatures = node.find(RRType::rrsig)) {
    for (const Bytes& one : signatures->rdatas) {
      const bool covers =
          one.size() >= 2 && static_cast<RRType>(load_u16(one.data())) == rrset.type;
      if (covers && made.signatures.size() < kMostSignatures) made.signatures.push_back(one);
    }
  }
  return made;
}

wire::Name nsec3_owner(const Name& apex, const dnssec::Nsec3Hash& hash) {
  const auto name = dnssec::nsec3_owner(apex, hash);
  return name ? *name : apex;  // where the apex is too long there are no NSEC3s
}

Result<MirrorZone::Shared> MirrorZone::create(const Name& apex, std::vector<Record> records) {
  std::vector<Node> nodes;
  std::shared_ptr<MirrorNode> open;
  for (wire::OwnedRRset& owned : zone_transfer::rrsets_of(std::move(records))) {
    if (!owned.owner.is_at_or_below(apex))
      return Error(owned.owner.to_text() + " lies outside the zone");
    if (!open || open->owner != owned.owner) {
      open = std::make_shared<MirrorNode>(MirrorNode{std::move(owned.owner), {}});
      nodes.push_back(open);
    }
    open->rrsets.push_back(std::move(owned.rrset));
  }
  return settle(apex, std::move(nodes));
}

Result<MirrorZone::Shared> MirrorZone::with(zone_transfer::Differences differences) const {
  Edits edits(*this);
  for (zone_transfer::Difference& step : differences.steps) {
    TRY(edits.remove(step.old_soa));
    for (const Record& record : step.removed) TRY(edits.remove(record));
    edits.add(std::move(step.new_soa));
    for (Record& record : step.added) edits.add(std::move(record));
  }
  return settle(apex_, edits.finish());
}

Result<MirrorZone::Shared> MirrorZone::settle(const Name& apex, std::vector<Node> nodes) {
  auto zone = std::make_shared<MirrorZone>();
  zone->apex_ = apex;
  zone->nodes_ = std::move(nodes);
  const bool has_apex = !zone->nodes_.empty() && zone->apex_node().owner == apex;
  const RRset* soa = has_apex ? zone->apex_node().find(RRType::soa) : nullptr;
  if (!soa || soa->rdatas.size() != 1) return Error("a zone without one SOA");
  if (const RRset* parameters = zone->apex_node().find(RRType::nsec3param)) {
    zone->nsec3_salt_ = TRY(wire::parse_nsec3param(parameters->rdatas.front())).salt;
  }
  zone->serial_ = TRY(wire::parse_soa(soa->rdatas.front())).serial;
  return Shared(std::move(zone));
}

// The index of the first node that does not come before `name`.
std::size_t MirrorZone::lower_bound(const Name& name) const {
  const auto found =
      std::lower_bound(nodes_.begin(), nodes_.end(), name,
                       [](const Node& node, const Name& key) { return node->owner < key; });
  return static_cast<std::size_t>(found - nodes_.begin());
}

const MirrorNode* MirrorZone::find(const Name& name) const {
  const std::size_t at = lower_bound(name);
  return at < nodes_.size() && nodes_[at]->owner == name ? nodes_[at].get() : nullptr;
}

bool MirrorZone::exists(const Name& name) const {
  const std::size_t at = lower_bound(name);
  return at < nodes_.size() && nodes_[at]->owner.is_at_or_below(name);
}

const MirrorNode& MirrorZone::at_or_before(const Name& name) const {
  const std::size_t at = lower_bound(name);
  const bool is_there = at < nodes_.size() && nodes_[at]->owner == name;
  return *nodes_[is_there || at == 0 ? at : at - 1];
}

const MirrorNode& MirrorZone::before(const MirrorNode& node) const {
  const std::size_t at = lower_bound(node.owner);
  return *nodes_[at == 0 ? 0 : at - 1];
}

}  // namespace mutua::resolver
