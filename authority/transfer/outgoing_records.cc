#include "authority/transfer/outgoing_records.h"

#include <algorithm>
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
// that puts it into a tree of names, which makes its transfer slower by a third. Sorted a portion at
// a time, as far as it is needed, so that nobody waits for the whole.
class NodesByPlace {
 public:
  explicit NodesByPlace(const ZoneVersion& version) {
    auto all = version.nodes();
    while (const ZoneNode* node = all.next()) nodes_.push_back(node);
    ends_.push_back(nodes_.size());
  }

  // nullptr at the end.
  const ZoneNode* next() {
    if (next_ == sorted_) sort_portion();
    return next_ == nodes_.size() ? nullptr : nodes_[next_++];
  }

 private:
  static constexpr std::size_t kPortion = 1024;

  // Whatever stands before one of `ends_` comes before whatever stands behind it.
  void sort_portion() {
    if (sorted_ == nodes_.size()) return;
    const auto at = [&](std::size_t place) {
      return nodes_.begin() + static_cast<std::ptrdiff_t>(place);
    };
    while (ends_.back() - sorted_ > kPortion) {
      const std::size_t middle = sorted_ + (ends_.back() - sorted_) / 2;
      std::nth_element(at(sorted_), at(middle), at(ends_.back()), std::less<>());
      ends_.push_back(middle);
    }
    std::sort(at(sorted_), at(ends_.back()), std::less<>());
    sorted_ = ends_.back();
    ends_.pop_back();
  }

  std::vector<const ZoneNode*> nodes_;
  std::vector<std::size_t> ends_;  // the nearest last
  std::size_t next_ = 0, sorted_ = 0;
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
