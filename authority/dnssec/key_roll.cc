#include "authority/dnssec/key_roll.h"

#include <algorithm>

#include "authority/dnssec/zone_key.h"

namespace mutua::authority {
namespace {

using std::chrono::seconds;

bool has_passed(const std::optional<WallTime>& since, seconds wait, WallTime now) {
  return since && *since + wait <= now;
}

// Whether no cache can lead anybody to the retired key any more.
bool is_forgotten(const KeyRecord& record, const std::vector<KeyRecord>& records,
                  const RollRules& rules, const RollFacts& facts, WallTime now) {
  if (may_do(record.role, KeyDuty::parent)) {
    const KeyRecord* known = active_key(records, KeyDuty::parent);
    if (!known || !has_passed(known->ds_seen, rules.parent_ds_ttl + rules.propagation, now))
      return false;
  }
  if (!may_do(record.role, KeyDuty::data)) return true;
  return has_passed(record.retired, seconds(kKeyTtl) + rules.propagation, now) &&
         has_passed(record.retired, seconds(facts.largest_ttl()) + rules.propagation, now);
}

}  // namespace

const KeyRecord* active_key(const std::vector<KeyRecord>& records, KeyDuty duty) {
  const KeyRecord* found = nullptr;
  for (const KeyRecord& record : records)
    if (may_do(record.role, duty) && record.active && !record.removed &&
        (!found || *found->active <= *record.active))
      found = &record;
  return found;
}

bool is_rolling(const std::vector<KeyRecord>& records, KeyDuty duty) {
  const KeyRecord* const for_parent = active_key(records, KeyDuty::parent);
  const KeyRecord* const for_data = active_key(records, KeyDuty::data);
  return std::ranges::any_of(records, [&](const KeyRecord& one) {
    return !one.removed && may_do(one.role, duty) && &one != for_parent && &one != for_data;
  });
}

bool is_rolling(const std::vector<KeyRecord>& records) {
  return is_rolling(records, KeyDuty::parent) || is_rolling(records, KeyDuty::data);
}

const KeyRecord* key_waiting_for_parent(const std::vector<KeyRecord>& records) {
  const KeyRecord* active = active_key(records, KeyDuty::parent);
  return active && !active->ds_seen ? active : nullptr;
}

bool advance(std::vector<KeyRecord>& records, const RollRules& rules, const RollFacts& facts,
             WallTime now) {
  const KeyRecord* const for_parent = active_key(records, KeyDuty::parent);
  const KeyRecord* const for_data = active_key(records, KeyDuty::data);
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
    const bool has_duty = &record == for_parent || &record == for_data;
    if (!record.active || has_duty || !facts.all_signed) continue;
    if (!record.retired) {
      record.retired = now;
      return true;
    }
    if (!is_forgotten(record, records, rules, facts, now)) continue;
    record.removed = now;
    return true;
  }
  return false;
}

std::optional<KeyRole> wants_successor(const std::vector<KeyRecord>& records,
                                       const RollRules& rules, WallTime now) {
  for (const KeyDuty duty : {KeyDuty::parent, KeyDuty::data}) {
    const KeyRecord* active = active_key(records, duty);
    if (!active || is_rolling(records, duty)) continue;
    if (active->role == KeyRole::csk && is_rolling(records)) continue;
    const auto& lifetime = active->role == KeyRole::zsk ? rules.data_lifetime : rules.lifetime;
    if (lifetime && has_passed(active->active, *lifetime, now)) return active->role;
  }
  return std::nullopt;
}

std::vector<KeyRole> lacking(const std::vector<KeyRecord>& records, KeyLayout layout) {
  if (is_rolling(records)) return {};
  std::vector<KeyRole> roles;
  for (const KeyDuty duty : {KeyDuty::parent, KeyDuty::data}) {
    const KeyRecord* active = active_key(records, duty);
    const KeyRole wanted = role_for(layout, duty);
    if ((!active || active->role != wanted) && (roles.empty() || roles.back() != wanted))
      roles.push_back(wanted);
  }
  return roles;
}

std::string phase_of(const KeyRecord& record) {
  if (record.removed) return "removed";
  if (record.retired) return "retired";
  if (record.active) return "active";
  return record.published ? "published" : "created";
}

}  // namespace mutua::authority
