#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "authority/dnssec/key_roll.h"
#include "authority/dnssec/key_set.h"
#include "authority/dnssec/zone_key.h"
#include "base/clock.h"
#include "base/result.h"

namespace mutua::authority {

// The keys of a zone in a folder (mode 0700): a file for each private key (PKCS#8 PEM, mode 0600)
// and the file `state`, one line for each key, that says where it stands in its life:
//
//   key 12345 15 key-12345.pem role=ksk created=1800000000 published=1800000001 active=…
//
// (a key without a role is a CSK)
//
// Several processes and threads may have it open, each its own object: a change is made under a
// lock on the file `lock`, on what the state is then, and replaces the state in one durable step. A
// private key is on disk before the state names it, and is deleted after the state calls it
// removed, so that no crash leaves a key named that is not there.
class KeyStore {
 public:
  // Makes the folder where it is missing. Fails where the state cannot be read or names a key whose
  // file is not there.
  static Result<KeyStore> open(std::filesystem::path folder, wire::Name zone);

  const std::vector<KeyRecord>& records() const { return records_; }
  bool empty() const { return active_key(records_, KeyDuty::data) == nullptr; }
  // The keys with their present duties. The store must not be empty.
  KeySet on_duty() const;
  const ZoneKey* key(std::uint16_t tag) const;  // of one that is not removed

  // Takes what others changed meanwhile; true where they did.
  Result<bool> refresh();

  // `edit` alters the records, or gives false, and nothing is written. It sees the newest state.
  using Edit = std::function<Result<bool>(std::vector<KeyRecord>&)>;
  Result<bool> change(const Edit& edit);

  // The successor of the active key of this role, of the same algorithm. Fails where there is none,
  // and during a roll-over of what it is for.
  Result<KeyRecord> generate(KeyRole role, WallTime now);
  // The keys that the plan asks for and that are missing, in one step: the first ones, active at
  // once, unless somebody else has just made them; or those that take over where the layout is
  // another. Empty where nothing is missing, or a roll-over has to end before.
  Result<std::vector<KeyRecord>> adopt(const KeyPlan& plan, WallTime now);
  // The zone above shows the DS of the active key.
  Result<void> note_ds_seen(std::uint16_t tag, WallTime now);
  // Takes a key out of use at once, waiting for nothing: for one that became known to others. There
  // must be another for each of its duties; it becomes active if it is not.
  Result<void> retire_now(std::uint16_t tag, WallTime now);

 private:
  KeyStore(std::filesystem::path folder, wire::Name zone)
      : folder_(std::move(folder)), zone_(std::move(zone)) {}

  Result<void> load();
  Result<void> save() const;
  void delete_removed() const;
  Result<KeyRecord> make_key(const std::vector<KeyRecord>& records, KeyRole role,
                             trust::Algorithm algorithm, WallTime now) const;

  std::filesystem::path folder_;
  wire::Name zone_;
  std::vector<KeyRecord> records_;
  std::map<std::uint16_t, ZoneKey> keys_;  // of those that are not removed
  struct stat seen_ {};                    // the state file as it was read last
};

// The text of the state file, and back.
std::string state_text(const wire::Name& zone, const std::vector<KeyRecord>& records);
Result<std::vector<KeyRecord>> parse_state(std::string_view text);

}  // namespace mutua::authority
