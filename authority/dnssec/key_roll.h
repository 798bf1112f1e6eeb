#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"

namespace mutua::authority {

// The life of one key (RFC 7583), each event at the time when it was known to have happened:
//
//   created    the zone is to publish it: DNSKEY, which it signs too
//   published  the zone does
//   active     it signs the data, and is the one that the zone above shall know (CDS, CDNSKEY)
//   ds_seen    the zone above knows it
//   retired    another is active, and no signature over data by this one is left in the zone
//   removed    nobody needs it any more, not even from a cache
//
// The one key that a zone begins with is active from the start.
struct KeyRecord {
  std::uint16_t tag = 0;
  std::uint8_t algorithm = 0;
  std::string file;  // of the private key, in the folder of the store
  WallTime created{};
  std::optional<WallTime> published, active, ds_seen, retired, removed;

  bool operator==(const KeyRecord&) const = default;
};

// How long what is no longer said may still be believed.
struct RollRules {
  std::chrono::seconds parent_ds_ttl = std::chrono::hours(24);
  std::chrono::seconds propagation = std::chrono::hours(1);  // until every secondary has a change
  std::optional<std::chrono::seconds> lifetime;  // of an active key; nothing: rolled by command
};

// What the zone itself shows.
struct RollFacts {
  std::set<std::uint16_t> published;           // key tags in its DNSKEY
  bool all_signed = false;                     // by those whose duty it is, and by no others
  std::function<std::uint32_t()> largest_ttl;  // in the zone, in seconds; O(zone)
};

// The key that signs the data: the one that became active last. Nothing for an empty store.
const KeyRecord* active_key(const std::vector<KeyRecord>& records);
// More keys than one are in use.
bool is_rolling(const std::vector<KeyRecord>& records);
// The active key whose DS the zone above does not show yet, where a roll-over waits for that.
const KeyRecord* key_waiting_for_parent(const std::vector<KeyRecord>& records);

// Takes the roll-over as far as it may go now, one event at a time; false where it has to wait. The
// waits are those of RFC 6781 section 4.1.2 and RFC 7583 section 3.3.1 for a double signature of
// the keys (what a DS leads to) and section 3.2.1 for a pre-published key (what signs the data):
//
//   published -> active   until nobody has a DNSKEY without it: its TTL + propagation
//   active    -> retired  until the zone holds no signature of the old key over data
//   retired   -> removed  until those are in no cache: the largest TTL + propagation; and until
//                         no DS of the old key is: ds_seen + the DS's TTL + propagation
bool advance(std::vector<KeyRecord>& records, const RollRules& rules, const RollFacts& facts,
             WallTime now);

// Whether the active key is as old as it may get and nothing else is under way.
bool wants_successor(const std::vector<KeyRecord>& records, const RollRules& rules, WallTime now);

// "active", the last event of a key.
std::string phase_of(const KeyRecord& record);

}  // namespace mutua::authority
