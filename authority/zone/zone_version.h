#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "authority/zone/change_set.h"
#include "authority/zone/folded_name.h"
#include "authority/zone/name_order.h"
#include "authority/zone/name_trie.h"
#include "authority/zone/ready_rrset.h"
#include "authority/zone/referrers.h"
#include "authority/zone/rrset.h"
#include "authority/zone/zone_node.h"
#include "base/result.h"
#include "wire/name.h"
#include "wire/rdata.h"

namespace mutua::authority {

// When a changed address gets into the ready-made answers that carry it, which may be thousands.
enum class Renewal {
  now,
  later,  // by renewed(), once for all changes of a group
};

// How a signed zone proves what is not there.
enum class Denial { none, nsec, nsec3 };

// One immutable version of a zone. apply() shares all that does not change with its predecessor and
// costs O(change), not O(zone): a changed address is a change of every answer that carries it.
// Readable from any thread without a lock; what a look-up returns lives as long as the version.
class ZoneVersion {
 public:
  // Fails where the apex has no SOA, or no NS, or a name lies outside, or CNAME has company.
  // RRsets are normalized.
  static Result<std::shared_ptr<const ZoneVersion>> create(wire::Name apex,
                                                           std::vector<OwnedRRset> rrsets);

  // The same version, too old to be believed: it answers SERVFAIL, and is not transferred.
  static std::shared_ptr<const ZoneVersion> expired(const ZoneVersion& version);
  bool is_expired() const { return is_expired_; }

  const wire::Name& apex() const { return apex_; }
  const FoldedName& folded_apex() const { return folded_apex_; }
  std::uint32_t serial() const { return serial_; }
  std::size_t rrset_count() const { return rrset_count_; }
  // Delegations and DNAMEs: where there is none, no look-up needs to walk down from the apex.
  std::size_t cut_count() const { return cut_count_; }

  // The node of `name`, or nullptr where the name does not exist. Empty non-terminals exist.
  const ZoneNode* node(const wire::Name& name) const;
  // The same for a folded name, without allocation. `hash` is name_hash(folded).
  const ZoneNode* node(BytesView folded, std::uint64_t hash) const {
    return nodes_.find(folded, hash);
  }
  // The same, begun for many names at a time; see there.
  NameTrie<ZoneNode>::Cursor begin_look_up(std::uint64_t hash) const { return {nodes_, hash}; }
  const ZoneNode* node(BytesView folded) const { return nodes_.find(folded, name_hash(folded)); }

  // A copy of an RRset, if it is there.
  std::optional<RRset> find(const wire::Name& name, wire::RRType type) const;

  // The names that own an NSEC (RFC 4034 section 4), or an NSEC3 (RFC 5155 section 3), in their
  // order.
  const NameOrder& nsec_owners() const { return nsec_owners_; }
  const NameOrder& nsec3_owners() const { return nsec3_owners_; }
  // The chain that proves what is not there. A chain of NSEC3 with iterations is none: RFC 9276 has
  // those who validate treat it as insecure.
  Denial denial() const { return denial_; }
  BytesView nsec3_salt() const { return nsec3_salt_; }
  // Whether answers may carry proofs: there are a chain and the DNSKEY.
  bool is_signed() const { return denial_ != Denial::none; }

  // The SOA as negative answers carry it: its TTL no larger than its MINIMUM (RFC 2308 section 3).
  const ReadyRRset& negative_soa() const {
    return *reinterpret_cast<const ReadyRRset*>(negative_soa_.data());
  }
  const RRset& negative_soa_rrset() const { return negative_soa_rrset_; }

  // Fails, changing nothing, where `change.from` is not serial(), a `before` differs from what
  // stands here, or the result would break what create() asks for. A change without any RRset
  // leads to this same version.
  Result<std::shared_ptr<const ZoneVersion>> apply(const ChangeSet& change,
                                                   Renewal renewal = Renewal::now) const;
  // False where an address was changed with Renewal::later. All records are right then, but answers
  // that are ready still carry the former address: such a version is not to be published.
  bool is_renewed() const { return moved_.empty(); }
  // The same version with answers that carry the addresses of now. Not for one that is_renewed().
  std::shared_ptr<const ZoneVersion> renewed() const;

  // Every name, in no particular order; not longer than the version lives.
  NameTrie<ZoneNode>::Iterator nodes() const { return NameTrie<ZoneNode>::Iterator(nodes_); }
  // Every RRset, in no particular order; the views live as long as the version.
  void for_each(
      const std::function<void(const wire::Name& owner, const RRsetView& rrset)>& visit) const;

 private:
  friend class ZoneVersionBuilder;
  friend class ZoneFromRecords;
  ZoneVersion() = default;
  // What follows from the apex's records, once all nodes are there.
  Result<void> settle();
  void settle_denial();

  wire::Name apex_;
  FoldedName folded_apex_;
  std::uint32_t serial_ = 0;
  std::size_t rrset_count_ = 0;
  std::size_t cut_count_ = 0;
  NameTrie<ZoneNode> nodes_;
  NameTrie<Referrers> referrers_;  // of every target of a record in the zone, existing or not
  NameOrder nsec_owners_, nsec3_owners_;
  std::set<wire::Name> moved_;  // whose addresses have changed since the answers were made
  Denial denial_ = Denial::none;
  Bytes nsec3_salt_;
  bool is_expired_ = false;
  RRset negative_soa_rrset_;
  Bytes negative_soa_;  // by make_ready
};

}  // namespace mutua::authority
