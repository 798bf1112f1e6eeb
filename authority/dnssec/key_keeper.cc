#include "authority/dnssec/key_keeper.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "wire/rdata.h"

namespace mutua::authority {
namespace {

constexpr std::chrono::hours kTtlPause(1);

std::set<std::uint16_t> tags_in(const ZoneVersion& version) {
  std::set<std::uint16_t> tags;
  if (const auto dnskey = version.find(version.apex(), wire::RRType::dnskey))
    for (const Bytes& rdata : dnskey->rdatas) tags.insert(wire::key_tag(rdata));
  return tags;
}

void report(const ZoneVersion& version, const std::vector<KeyRecord>& before,
            const std::vector<KeyRecord>& after) {
  for (const KeyRecord& record : after)
    if (std::ranges::find(before, record) == before.end())
      log::info("dnssec.key", {{"zone", version.apex().to_text()},
                               {"tag", record.tag},
                               {"role", to_text(record.role)},
                               {"phase", phase_of(record)},
                               {"ds_seen", record.ds_seen ? "yes" : "no"}});
}

}  // namespace

Result<KeyKeeper> KeyKeeper::create(const std::filesystem::path& folder, const wire::Name& zone,
                                    KeyPlan plan, RollRules rules, const Clock& clock) {
  KeyStore store = TRY(KeyStore::open(folder, zone));
  if (store.empty()) TRY(store.adopt(plan, clock.wall_now()));
  return KeyKeeper(std::move(store), plan, rules, clock);
}

bool KeyKeeper::tick(const ZoneVersion& version, bool all_signed) {
  const auto before = store_.records();
  const auto changed = try_tick(version, all_signed);
  if (!changed)
    log::warning("dnssec.keys_unavailable",
                 {{"zone", version.apex().to_text()}, {"error", changed.error().message()}});
  report(version, before, store_.records());
  return store_.records() != before;
}

Result<bool> KeyKeeper::try_tick(const ZoneVersion& version, bool all_signed) {
  // What was commanded changes the duties: the zone has to follow before anything is concluded.
  if (TRY(store_.refresh())) return true;
  const WallTime now = clock_.wall_now();
  if (!lacking(store_.records(), plan_.layout).empty())
    return !TRY(store_.adopt(plan_, now)).empty();
  if (const auto role = wants_successor(store_.records(), rules_, now)) {
    TRY(store_.generate(*role, now));
    return true;
  }
  const RollFacts facts{tags_in(version), all_signed, [&] { return largest_ttl(version); }};
  const auto present = store_.records();
  auto records = present;
  if (!advance(records, rules_, facts, now)) return false;
  return store_.change([&](std::vector<KeyRecord>& newest) -> Result<bool> {
    // What was commanded in this instant comes first: the facts are about the duties before it.
    return newest == present && advance(newest, rules_, facts, now);
  });
}

std::uint32_t KeyKeeper::largest_ttl(const ZoneVersion& version) {
  const WallTime now = clock_.wall_now();
  if (ttl_found_at_ && now - *ttl_found_at_ < kTtlPause) return largest_ttl_;
  version.for_each([&](const wire::Name&, const RRsetView& rrset) {
    largest_ttl_ = std::max(largest_ttl_, rrset.ttl());
  });
  ttl_found_at_ = now;
  return largest_ttl_;
}

}  // namespace mutua::authority
