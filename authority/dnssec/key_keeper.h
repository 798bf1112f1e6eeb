#pragma once

#include <optional>

#include "authority/dnssec/key_store.h"
#include "authority/zone/zone_version.h"
#include "base/clock.h"

namespace mutua::authority {

// Leads the keys of a zone through their lives as the zone follows. Belongs to the writer, which
// calls tick() about once a second. Whatever follows from an event is done after the event is on
// disk, and what the zone shows is noted after the zone's change is durable: after a crash between
// the two, the waits begin later, never earlier.
class KeyKeeper {
 public:
  // Opens the store and makes the first keys where there are none. Where the plan's layout is
  // another than that of the keys, a roll-over leads there.
  static Result<KeyKeeper> create(const std::filesystem::path& folder, const wire::Name& zone,
                                  KeyPlan plan, RollRules rules, const Clock& clock);

  // The keys with their duties, as of the last tick.
  KeySet on_duty() const { return store_.on_duty(); }

  // Takes what was commanded, and goes on as far as the zone and the time allow. `all_signed`: the
  // zone has exactly the signatures that on_duty() asks for. True where the duties may have
  // changed.
  bool tick(const ZoneVersion& version, bool all_signed);

 private:
  KeyKeeper(KeyStore store, KeyPlan plan, RollRules rules, const Clock& clock)
      : store_(std::move(store)), plan_(plan), rules_(rules), clock_(clock) {}

  Result<bool> try_tick(const ZoneVersion& version, bool all_signed);
  std::uint32_t largest_ttl(const ZoneVersion& version);

  KeyStore store_;
  KeyPlan plan_;
  RollRules rules_;
  const Clock& clock_;
  // Looked for in the whole zone, and not every second.
  std::optional<WallTime> ttl_found_at_;
  std::uint32_t largest_ttl_ = 0;  // ever found: records that have gone may still be in caches
};

}  // namespace mutua::authority
