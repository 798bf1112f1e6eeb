#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "authority/dnssec/key_role.h"
#include "base/clock.h"

namespace mutua::authority {

// The life of one key (RFC 7583), each event at the time when it was known to have happened:
//
//   created    the zone is to publish it: in its DNSKEY, which it signs too unless it is a ZSK
//   published  the zone does
//   active     it does what its role is for: it signs the data (ZSK, CSK), is the one that the zone
//              above shall know (CDS, CDNSKEY; KSK, CSK)
//   ds_seen    the zone above knows it (never of a ZSK)
//   retired    others do all of that, and no signature over data by this one is left in the zone
//   removed    nobody needs it any more, not even from a cache
//
// The keys that a zone begins with are active from the start.
struct KeyRecord {
  std::uint16_t tag = 0;
  KeyRole role = KeyRole::csk;
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
  // Of an active key, by what it is for; nothing: rolled by command. A CSK has the former.
  std::optional<std::chrono::seconds> lifetime, data_lifetime;
};

// What the zone itself shows.
struct RollFacts {
  std::set<std::uint16_t> published;           // key tags in its DNSKEY
  bool all_signed = false;                     // by those whose duty it is, and by no others
  std::function<std::uint32_t()> largest_ttl;  // in the zone, in seconds; O(zone)
};

// The key that has the duty: of those that may, the one that became active last. Nothing for an empty
// store.
const KeyRecord* active_key(const std::vector<KeyRecord>& records, KeyDuty duty);
// A key that may have the duty is in use and has none at all: its time comes, or has been. Of any.
bool is_rolling(const std::vector<KeyRecord>& records, KeyDuty duty);
bool is_rolling(const std::vector<KeyRecord>& records);
// The key for the zone above whose DS that does not show yet, where a roll-over waits for it.
const KeyRecord* key_waiting_for_parent(const std::vector<KeyRecord>& records);

// Takes the roll-over as far as it may go now, one event at a time; false where it has to wait. The
// waits are those of RFC 6781 section 4.1.2 and RFC 7583 section 3.3.1 for a double signature of
// the keys (what a DS leads to) and section 3.2.1 for a pre-published key (what signs the data):
//
//   published -> active   until nobody has a DNSKEY without it: its TTL + propagation
//   active    -> retired  until the zone holds no signature of the old key over data
//   retired   -> removed  where it signed data, until its signatures are in no cache: the largest
//                         TTL + propagation; where the zone above knew it, until its DS is in none:
//                         ds_seen of the key in its place + the DS's TTL + propagation
//
// A CSK waits for both; a KSK and a ZSK know nothing of each other. From one CSK to a KSK and a ZSK,
// and back, is such a roll-over, too.
bool advance(std::vector<KeyRecord>& records, const RollRules& rules, const RollFacts& facts,
             WallTime now);

// The role of an active key that is as old as it may get, where nothing else of its kind is under
// way.
std::optional<KeyRole> wants_successor(const std::vector<KeyRecord>& records,
                                       const RollRules& rules, WallTime now);

// The roles that the layout asks for and no key has, unless a roll-over has to end before.
std::vector<KeyRole> lacking(const std::vector<KeyRecord>& records, KeyLayout layout);

// "active", the last event of a key.
std::string phase_of(const KeyRecord& record);

}  // namespace mutua::authority
