#include "authority/transfer/outgoing_records.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace mutua::authority {
namespace {

using wire::RRType;

OutgoingRecord soa_of(const ZoneVersion& version) {
  const RRsetView soa = *version.node(version.apex())->find(RRType::soa);
  return {version.apex().wire(), RRType::soa, soa.ttl(), soa.front()};
}

// The nodes of a version by their places in memory, which is the order in which they were made: that
// of the zone's file or database, where neighbours have names that are alike. The trie's own order is
// that of hashes: a miss of the cache for each name here, and another one for each at the secondary
// that puts it into a tree of names, which makes its transfer slower by a third. What lies in one
// portion of memory is put in order when its turn comes, so that nobody waits for the whole.
class NodesByPlace {
 public:
  explicit NodesByPlace(const ZoneVersion& version) : portions_(kPortions) {
    auto all = version.nodes();
    while (const ZoneNode* node = all.next())
      portions_[reinterpret_cast<std::uintptr_t>(node) / kPortionSize % kPortions].push_back(node);
  }

  // nullptr at the end.
  const ZoneNode* next() {
    while (at_ == portion_.size()) {
      if (next_portion_ == portions_.size()) return nullptr;
      portion_ = std::move(portions_[next_portion_++]);
      std::ranges::sort(portion_, std::less<>());
      at_ = 0;
    }
    return portion_[at_++];
  }

 private:
  static constexpr std::uintptr_t kPortionSize = 64 * 1024;  // octets of memory
  static constexpr std::size_t kPortions = 4096;  // beyond their 256 MiB they are used again

  std::vector<std::vector<const ZoneNode*>> portions_;
  std::vector<const ZoneNode*> portion_;
  std::size_t next_portion_ = 0, at_ = 0;
};

class WholeZone final : public OutgoingRecords {
 public:
  explicit WholeZone(std::shared_ptr<const ZoneVersion> version)
      : version_(std::move(version)), nodes_(*version_) {}

  std::optional<OutgoingRecord> next() override {
    if (!std::exchange(started_, true)) return soa_of(*version_);
    while (true) {
      if (rrset_ && rdata_ != rrset_->end()) return next_of(*rrset_);
      if (node_ && next_rrset_ < node_->all_ready().size()) {
        rrset_ = node_->all_ready().at(next_rrset_++).records();
        rdata_ = rrset_->type() == RRType::soa ? rrset_->end() : rrset_->begin();
        continue;
      }
      node_ = nodes_.next();
      if (!node_) break;
      next_rrset_ = 0;
    }
    if (std::exchange(ended_, true)) return std::nullopt;
    return soa_of(*version_);
  }

 private:
  OutgoingRecord next_of(const RRsetView& rrset) {
    const BytesView rdata = *rdata_++;
    return {node_->given_owner(), rrset.type(), rrset.ttl_of(rdata), rdata};
  }

  const std::shared_ptr<const ZoneVersion> version_;
  NodesByPlace nodes_;
  const ZoneNode* node_ = nullptr;
  unsigned next_rrset_ = 0;
  std::optional<RRsetView> rrset_;
  RRsetView::Iterator rdata_;
  bool started_ = false, ended_ = false;
};

class Differences final : public OutgoingRecords {
 public:
  Differences(std::shared_ptr<const ZoneVersion> version, ChangeHistory::Path path)
      : version_(std::move(version)), path_(std::move(path)) {
    ready_.push_back(soa_of(*version_));
    is_last_ = path_.empty();
  }

  std::optional<OutgoingRecord> next() override {
    while (at_ == ready_.size()) {
      if (is_last_) return std::nullopt;
      ready_.clear();
      at_ = 0;
      if (step_ < path_.size()) {
        take(*path_[step_++]);
      } else {
        ready_.push_back(soa_of(*version_));
        is_last_ = true;
      }
    }
    return ready_[at_++];
  }

 private:
  void take(const ChangeSet& change) {
    put_soa(change, &RRsetChange::before);
    for (const RRsetChange& one : change.changes) put_missing(one, one.before, one.after);
    put_soa(change, &RRsetChange::after);
    for (const RRsetChange& one : change.changes) put_missing(one, one.after, one.before);
  }

  void put_soa(const ChangeSet& change, std::optional<RRset> RRsetChange::*side) {
    for (const RRsetChange& one : change.changes)
      if (one.type == RRType::soa && one.*side)
        ready_.push_back(
            {one.owner.wire(), RRType::soa, (one.*side)->ttl, (one.*side)->rdatas.front()});
  }

  // The records of `from` that `other` has not, or has with another TTL.
  void put_missing(const RRsetChange& change, const std::optional<RRset>& from,
                   const std::optional<RRset>& other) {
    if (change.type == RRType::soa || !from) return;
    const bool comparable = other && other->ttl == from->ttl;
    for (const Bytes& rdata : from->rdatas) {
      const bool stays = comparable && std::find(other->rdatas.begin(), other->rdatas.end(),
                                                 rdata) != other->rdatas.end();
      if (!stays) ready_.push_back({change.owner.wire(), change.type, ttl_of(*from, rdata), rdata});
    }
  }

  const std::shared_ptr<const ZoneVersion> version_;
  const ChangeHistory::Path path_;
  std::vector<OutgoingRecord> ready_;
  std::size_t at_ = 0, step_ = 0;
  bool is_last_ = false;
};

}  // namespace

std::unique_ptr<OutgoingRecords> whole_zone(std::shared_ptr<const ZoneVersion> version) {
  return std::make_unique<WholeZone>(std::move(version));
}

std::unique_ptr<OutgoingRecords> differences(std::shared_ptr<const ZoneVersion> version,
                                             ChangeHistory::Path path) {
  return std::make_unique<Differences>(std::move(version), std::move(path));
}

}  // namespace mutua::authority
