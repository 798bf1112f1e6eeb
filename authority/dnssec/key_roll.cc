#include "authority/dnssec/key_roll.h"

#include <algorithm>

#include "authority/dnssec/zone_key.h"

namespace mutua::authority {
namespace {

using std::chrono::seconds;

bool has_passed(const std::optional<WallTime>& since, seconds wait, WallTime now) {
  return since && *since + wait <= now;
}

}  // namespace

const KeyRecord* active_key(const std::vector<KeyRecord>& records) {
  const KeyRecord* found = nullptr;
  for (const KeyRecord& record : records)
    if (record.active && !record.removed && (!found || *found->active <= *record.active))
      found = &record;
  return found;
}

bool is_rolling(const std::vector<KeyRecord>& records) {
  return std::ranges::count_if(records, [](const KeyRecord& one) { return !one.removed; }) > 1;
}

const KeyRecord* key_waiting_for_parent(const std::vector<KeyRecord>& records) {
  const KeyRecord* active = active_key(records);
  return active && !active->ds_seen ? active : nullptr;
}

bool advance(std::vector<KeyRecord>& records, const RollRules& rules, const RollFacts& facts,
             WallTime now) {
  const KeyRecord* const active = active_key(records);
  for (KeyRecord& record : records) {
    if (record.removed) continue;
    if (!record.published && facts.published.contains(record.tag)) {
      record.published = now;
      return true;
    }
    if (!record.active && has_passed(record.published, seconds(kKeyTtl) + rules.propagation, now)) {
      record.active = now;
      return true;
    }
    if (!record.active || &record == active || !facts.all_signed) continue;
    if (!record.retired) {
      record.retired = now;
      return true;
    }
    const seconds least = seconds(kKeyTtl) + rules.propagation;
    if (!has_passed(active->ds_seen, rules.parent_ds_ttl + rules.propagation, now) ||
        !has_passed(record.retired, least, now) ||
        !has_passed(record.retired, seconds(facts.largest_ttl()) + rules.propagation, now))
      continue;
    record.removed = now;
    return true;
  }
  return false;
}

bool wants_successor(const std::vector<KeyRecord>& records, const RollRules& rules, WallTime now) {
  const KeyRecord* active = active_key(records);
  return active && rules.lifetime && !is_rolling(records) &&
         has_passed(active->active, *rules.lifetime, now);
}

std::string phase_of(const KeyRecord& record) {
  if (record.removed) return "removed";
  if (record.retired) return "retired";
  if (record.active) return "active";
  return record.published ? "published" : "created";
}

}  // namespace mutua::authority
