#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "authority/zone/hash_places.h"
#include "authority/zone/zone_version.h"

namespace mutua::authority {

// Makes the first version of a zone from its records, in any order. By far faster than a change
// that adds them all: names are found in one table of hashes, and the tries are built from what is
// sorted already, so that each piece of memory is made once and in the order in which it is used.
class ZoneFromRecords {
 public:
  explicit ZoneFromRecords(wire::Name apex);

  // Once. Fails as ZoneVersion::create().
  Result<std::shared_ptr<const ZoneVersion>> make(std::vector<OwnedRRset> rrsets);

 private:
  // A name on its way to becoming a node.
  struct Entry {
    std::uint64_t hash;       // of the folded name
    const wire::Name* below;  // the name is the end of this one, which lives with the records
    std::uint8_t size;        // octets
    std::uint32_t children = 0;
    std::vector<RRset> rrsets;
    std::optional<NodeContent::Reference> content;  // made of the RRsets

    BytesView given() const { return below->wire().last(size); }
  };
  // A name that others refer to, in the zone or not.
  struct Target {
    std::uint64_t hash;
    Bytes folded;
    const Entry* entry;                 // nullptr where the name does not exist
    std::vector<std::uint64_t> owners;  // the hashes of those names of the zone that refer to it
  };

  Entry* find(BytesView folded, std::uint64_t hash);
  Target& target(BytesView folded, std::uint64_t hash);
  // The entry of this name, which is made with all those between it and the apex where it is
  // missing.
  Entry& need(const FoldedName& name, const wire::Name& given);

  Result<void> take(std::vector<OwnedRRset>& rrsets);
  void make_contents();
  void note_referrals(const Entry& entry);
  void note_referral(const Entry& entry, BytesView folded);
  Result<void> check(const Entry& entry);
  NameTrie<ZoneNode> make_nodes();
  NameTrie<Referrers> make_referrers();

  std::unique_ptr<ZoneVersion> draft_;
  std::vector<Entry> entries_;
  HashPlaces entry_places_;
  std::vector<Target> targets_;
  HashPlaces target_places_;
};

}  // namespace mutua::authority
