#include "authority/key_commands.h"

#include <charconv>
#include <cstdio>
#include <map>

#include "authority/dnssec/key_store.h"

namespace mutua::authority {
namespace {

Result<std::uint16_t> read_tag(const std::string& text) {
  std::uint16_t tag = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), tag);
  if (problem != std::errc() || end != text.data() + text.size())
    return Error("not a key tag: " + text);
  return tag;
}

void print_list(const std::vector<KeyRecord>& records) {
  for (const KeyRecord& record : records) {
    std::printf("%05u %s algorithm %u %s: created %s", unsigned{record.tag}, to_text(record.role),
                unsigned{record.algorithm}, phase_of(record).c_str(),
                rfc3339(record.created).c_str());
    const auto event = [](const char* name, const std::optional<WallTime>& time) {
      if (time) std::printf(", %s %s", name, rfc3339(*time).c_str());
    };
    event("published", record.published);
    event("active", record.active);
    event("ds-seen", record.ds_seen);
    event("retired", record.retired);
    event("removed", record.removed);
    std::puts("");
  }
}

// The key that the zone above shall know: that of the CDS record.
Result<void> print_ds(const KeyStore& store, const wire::Name& zone) {
  const KeyRecord* active = active_key(store.records(), KeyDuty::parent);
  if (!active) return Error("the key store is empty: run keys generate");
  std::puts(store.key(active->tag)->ds_text(zone).c_str());
  return {};
}

// Each made key's tag on a line.
Result<void> generate(KeyStore& store, const KeyPlan& plan, WallTime now) {
  if (!store.empty())
    return Error("keys generate: there is a key already; keys roll makes its successor");
  const auto keys = TRY(store.adopt(plan, now));
  for (const KeyRecord& made : keys) std::printf("%u\n", unsigned{made.tag});
  return {};
}

// Of the one key that there is, or of the one of the role that the words name.
Result<void> roll(KeyStore& store, const std::vector<std::string>& words, WallTime now) {
  const KeyRecord* active = active_key(store.records(), KeyDuty::parent);
  if (!active) return Error("keys roll: there is no key yet; keys generate makes the first");
  KeyRole role = active->role;
  if (words.size() > 1)
    role = words[1] == "zsk" ? KeyRole::zsk : words[1] == "ksk" ? KeyRole::ksk : KeyRole::csk;
  else if (role != KeyRole::csk)
    return Error("keys roll: there are two keys: say keys roll ksk, or keys roll zsk");
  std::printf("%u\n", unsigned{TRY(store.generate(role, now)).tag});
  return {};
}

}  // namespace

bool is_key_command(const std::vector<std::string>& words) {
  static const std::map<std::string, std::size_t> counts{
      {"generate", 1}, {"list", 1}, {"roll", 1}, {"ds-seen", 2}, {"retire", 2}, {"ds", 1}};
  if (words.empty()) return false;
  if (words.size() == 2 && words[0] == "roll")
    return words[1] == "csk" || words[1] == "ksk" || words[1] == "zsk";
  const auto known = counts.find(words.front());
  return known != counts.end() && known->second == words.size();
}

Result<void> run_key_command(const AuthorityConfig& config, const std::vector<std::string>& words,
                             const Clock& clock) {
  if (config.dnssec.keys.empty()) return Error("keys: the configuration names no dnssec_keys");
  KeyStore store = TRY(KeyStore::open(config.dnssec.keys, config.zone));
  const std::string& command = words.front();
  if (command == "list") {
    print_list(store.records());
    return {};
  }
  if (command == "ds") return print_ds(store, config.zone);
  if (command == "ds-seen") return store.note_ds_seen(TRY(read_tag(words[1])), clock.wall_now());
  if (command == "retire") return store.retire_now(TRY(read_tag(words[1])), clock.wall_now());
  if (command == "roll") return roll(store, words, clock.wall_now());
  return generate(store, config.dnssec.plan, clock.wall_now());
}

}  // namespace mutua::authority
