#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "dnssec/nsec3.h"
#include "resolver/validation/sections.h"
#include "wire/message.h"
#include "wire/name.h"
#include "wire/rrset.h"
#include "zone_transfer/incoming_transfer.h"

namespace mutua::resolver {

// A name that owns records.
struct MirrorNode {
  wire::Name owner;
  std::vector<wire::RRset> rrsets;  // normalized, by type

  const wire::RRset* find(wire::RRType type) const;
};

// The RRset with those signatures at its node that cover it, 8 of them at most.
SignedRRset signed_rrset(const MirrorNode& node, const wire::RRset& rrset);

// The name of the NSEC3 of a name with this hash.
wire::Name nsec3_owner(const wire::Name& apex, const dnssec::Nsec3Hash& hash);

// One version of the zone, as it came: nothing of it is proven yet (see prove_mirror()). Immutable, so
// thread-safe. A version that comes from another by differences shares the nodes that are the same;
// making it costs a pointer for each name.
class MirrorZone {
 public:
  using Node = std::shared_ptr<const MirrorNode>;
  using Shared = std::shared_ptr<const MirrorZone>;

  // Fail where there is not one SOA at the apex.
  static Result<Shared> create(const wire::Name& apex, std::vector<wire::Record> records);
  // Fails, too, where the differences do not fit what is there.
  Result<Shared> with(zone_transfer::Differences differences) const;

  const wire::Name& apex() const { return apex_; }
  const wire::RRset& soa() const { return *apex_node().find(wire::RRType::soa); }
  std::uint32_t serial() const { return serial_; }
  const MirrorNode& apex_node() const { return *nodes_.front(); }

  // Of its NSEC3PARAM; nothing where absence is told by NSEC.
  const std::optional<Bytes>& nsec3_salt() const { return nsec3_salt_; }

  // In canonical order, the apex first.
  const std::vector<Node>& nodes() const { return nodes_; }
  const MirrorNode* find(const wire::Name& name) const;
  // Whether names at or below it own records.
  bool exists(const wire::Name& name) const;
  // The last node that does not come after `name`, which is at or below the apex.
  const MirrorNode& at_or_before(const wire::Name& name) const;
  // The one before a node of this version; the apex has none before it and gives itself.
  const MirrorNode& before(const MirrorNode& node) const;

 private:
  static Result<Shared> settle(const wire::Name& apex, std::vector<Node> nodes);
  std::size_t lower_bound(const wire::Name& name) const;

  wire::Name apex_;
  std::uint32_t serial_ = 0;
  std::optional<Bytes> nsec3_salt_;
  std::vector<Node> nodes_;
};

}  // namespace mutua::resolver
