#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "authority/dnssec/zone_key.h"
#include "authority/zone/rrset.h"

namespace mutua::authority {

// A key that the zone publishes, with its duties.
struct KeyOnDuty {
  ZoneKey key;
  bool signs_data = true;     // every RRset but those about keys
  bool is_for_parent = true;  // the zone above shall know it (RFC 7344)
  // DNSKEY, CDS, CDNSKEY: every key does that the zone above knows, knew, or will, so that whoever
  // knows any of them can get to know the others.
  bool signs_keys = true;
};

// The keys of a zone at one moment of their lives. A value; not empty.
class KeySet {
 public:
  explicit KeySet(std::vector<KeyOnDuty> keys) : keys_(std::move(keys)) {}
  explicit KeySet(ZoneKey only) { keys_.push_back({std::move(only)}); }

  // Who signs an RRset of this type. Pointers live as long as the set.
  std::vector<const ZoneKey*> signers_of(wire::RRType type) const;

  // DNSKEY, CDS and CDNSKEY, as they shall stand at the apex.
  std::vector<RRset> key_rrsets(const wire::Name& apex) const;

 private:
  std::vector<KeyOnDuty> keys_;
};

// DNSKEY, CDS or CDNSKEY.
bool is_about_keys(wire::RRType type);

}  // namespace mutua::authority
