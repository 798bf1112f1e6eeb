#include "authority/dnssec/key_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <sstream>
#include <utility>

#include "base/durable_file.h"
#include "base/unique_fd.h"

namespace mutua::authority {
namespace {

constexpr std::size_t kLargestState = 256 * 1024;
constexpr std::size_t kRemovedKept = 16;  // lines about keys that are gone, for the list
constexpr std::string_view kFirstLine = "mutua-keys 1";

using Event = std::optional<WallTime> KeyRecord::*;
constexpr std::pair<const char*, Event> kEvents[] = {{"published", &KeyRecord::published},
                                                     {"active", &KeyRecord::active},
                                                     {"ds-seen", &KeyRecord::ds_seen},
                                                     {"retired", &KeyRecord::retired},
                                                     {"removed", &KeyRecord::removed}};

template <typename Number>
Result<Number> number(std::string_view text) {
  Number value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size())
    return Error("not a number: " + std::string(text.substr(0, 40)));
  return value;
}

Result<KeyRole> read_role(std::string_view text) {
  for (const KeyRole role : {KeyRole::csk, KeyRole::ksk, KeyRole::zsk})
    if (text == to_text(role)) return role;
  return Error("unknown role: " + std::string(text.substr(0, 40)));
}

// "event=time", or "role=csk".
Result<void> read_property(const std::string& word, KeyRecord& record) {
  const std::size_t equals = word.find('=');
  if (equals == std::string::npos) return Error("expected event=time: " + word.substr(0, 40));
  const std::string name = word.substr(0, equals);
  if (name == "role") {
    record.role = TRY(read_role(std::string_view(word).substr(equals + 1)));
    return {};
  }
  const WallTime time(
      std::chrono::seconds(TRY(number<std::int64_t>(std::string_view(word).substr(equals + 1)))));
  if (name == "created") {
    record.created = time;
    return {};
  }
  for (const auto& [event, member] : kEvents)
    if (name == event) {
      record.*member = time;
      return {};
    }
  return Error("unknown event: " + name.substr(0, 40));
}

Result<KeyRecord> read_record(const std::string& line) {
  std::istringstream words(line);
  std::string kind, tag, algorithm, word;
  KeyRecord record;
  words >> kind >> tag >> algorithm >> record.file;
  if (kind != "key" || record.file.empty()) return Error("expected: key TAG ALGORITHM FILE …");
  if (record.file.find('/') != std::string::npos) return Error("a key's file lies in the folder");
  record.tag = TRY(number<std::uint16_t>(tag));
  record.algorithm = TRY(number<std::uint8_t>(algorithm));
  while (words >> word) TRY(read_property(word, record));
  return record;
}

// The only writer of the state, as long as it lives.
class Lock {
 public:
  static Result<Lock> take(const std::filesystem::path& folder) {
    const std::string path = (folder / "lock").string();
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd) return errno_error(errno, "open " + path);
    while (::flock(fd.get(), LOCK_EX) != 0)
      if (errno != EINTR) return errno_error(errno, "lock " + path);
    return Lock(std::move(fd));
  }

 private:
  explicit Lock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

void forget_oldest_removed(std::vector<KeyRecord>& records) {
  const auto is_removed = [](const KeyRecord& one) { return one.removed.has_value(); };
  auto count = static_cast<std::size_t>(std::ranges::count_if(records, is_removed));
  for (; count > kRemovedKept; --count)
    records.erase(std::find_if(records.begin(), records.end(), is_removed));
}

Result<KeyRecord*> find_record(std::vector<KeyRecord>& records, std::uint16_t tag) {
  for (KeyRecord& record : records)
    if (record.tag == tag && !record.removed) return &record;
  return errorf("no key in use has the tag %u", unsigned{tag});
}

}  // namespace

std::string state_text(const wire::Name& zone, const std::vector<KeyRecord>& records) {
  std::string text(kFirstLine);
  text += " " + zone.lowered().to_text() + "\n";
  for (const KeyRecord& record : records) {
    const auto time = [](WallTime at) { return std::to_string(at.time_since_epoch().count()); };
    text += "key " + std::to_string(record.tag) + " " + std::to_string(record.algorithm) + " " +
            record.file;
    if (record.role != KeyRole::csk) text += std::string(" role=") + to_text(record.role);
    text += " created=" + time(record.created);
    for (const auto& [event, member] : kEvents)
      if (record.*member) text += std::string(" ") + event + "=" + time(*(record.*member));
    text += "\n";
  }
  return text;
}

Result<std::vector<KeyRecord>> parse_state(std::string_view text) {
  std::istringstream lines{std::string(text)};
  std::string line;
  std::getline(lines, line);
  if (!line.starts_with(kFirstLine)) return Error("not a state of keys that this program knows");
  std::vector<KeyRecord> records;
  for (unsigned number = 2; std::getline(lines, line); ++number) {
    auto record = read_record(line);
    if (!record) return record.error().in("line " + std::to_string(number));
    records.push_back(*std::move(record));
  }
  return records;
}

Result<KeyStore> KeyStore::open(std::filesystem::path folder, wire::Name zone) {
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
    return errno_error(errno, "create " + folder.string());
  KeyStore store(std::move(folder), std::move(zone));
  TRY(store.load());
  store.delete_removed();
  return store;
}

Result<void> KeyStore::load() {
  const std::filesystem::path path = folder_ / "state";
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};  // a new store
    return errno_error(errno, "stat " + path.string());
  }
  const Bytes text = TRY(read_file(path, kLargestState));
  auto records = parse_state(as_text(text));
  if (!records) return records.error().in(path.string());
  std::map<std::uint16_t, ZoneKey> keys;
  for (const KeyRecord& record : *records) {
    if (record.removed) continue;
    const auto known = keys_.find(record.tag);
    ZoneKey key = known != keys_.end()
                      ? known->second
                      : ZoneKey(TRY(trust::PrivateKey::load(folder_ / record.file)), record.role);
    if (key.tag() != record.tag)
      return errorf("%s: its key tag is %u, not %u", (folder_ / record.file).c_str(),
                    unsigned{key.tag()}, unsigned{record.tag});
    keys.emplace(record.tag, std::move(key));
  }
  records_ = *std::move(records);
  keys_ = std::move(keys);
  seen_ = status;
  return {};
}

Result<void> KeyStore::save() const {
  return write_file_durably(folder_ / "state", as_bytes(state_text(zone_, records_)), 0600);
}

// After the state. A file that a crash leaves behind goes at the next start.
void KeyStore::delete_removed() const {
  for (const KeyRecord& record : records_)
    if (record.removed) ::unlink((folder_ / record.file).c_str());
}

Result<bool> KeyStore::refresh() {
  const std::filesystem::path path = folder_ / "state";
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return errno_error(errno, "stat " + path.string());
  // Every change is a new file.
  if (status.st_ino == seen_.st_ino && status.st_mtim.tv_sec == seen_.st_mtim.tv_sec &&
      status.st_mtim.tv_nsec == seen_.st_mtim.tv_nsec)
    return false;
  TRY(load());
  return true;
}

Result<bool> KeyStore::change(const Edit& edit) {
  const Lock lock = TRY(Lock::take(folder_));
  TRY(load());
  const std::vector<KeyRecord> before = records_;
  auto changed = edit(records_);
  if (!changed || !*changed) {
    records_ = before;
    return changed;
  }
  forget_oldest_removed(records_);
  if (auto saved = save(); !saved) {
    records_ = before;
    return saved.error();
  }
  TRY(load());
  delete_removed();
  return true;
}

// A new private key on disk, and its record.
Result<KeyRecord> KeyStore::make_key(const std::vector<KeyRecord>& records, KeyRole role,
                                     trust::Algorithm algorithm, WallTime now) const {
  const auto is_taken = [&](std::uint16_t tag) {
    return std::ranges::any_of(records, [&](const KeyRecord& one) { return one.tag == tag; });
  };
  std::optional<ZoneKey> key;
  while (!key || is_taken(key->tag()))
    key.emplace(TRY(trust::PrivateKey::generate(algorithm)), role);
  KeyRecord made;
  made.tag = key->tag();
  made.role = role;
  made.algorithm = key->algorithm();
  made.file = "key-" + std::to_string(made.tag) + ".pem";
  made.created = now;
  TRY(key->save(folder_ / made.file));
  return made;
}

Result<KeyRecord> KeyStore::generate(KeyRole role, WallTime now) {
  KeyRecord made;
  const auto add = [&](std::vector<KeyRecord>& records) -> Result<bool> {
    std::optional<trust::Algorithm> algorithm;
    for (const KeyDuty duty : {KeyDuty::parent, KeyDuty::data}) {
      if (!may_do(role, duty)) continue;
      const KeyRecord* active = active_key(records, duty);
      if (!active || active->role != role)
        return errorf("no %s is active: a successor has the role of the key before", to_text(role));
      if (is_rolling(records, duty)) return Error("a roll-over is under way");
      algorithm = static_cast<trust::Algorithm>(active->algorithm);
    }
    made = TRY(make_key(records, role, *algorithm, now));
    records.push_back(made);
    return true;
  };
  TRY(change(add));
  return made;
}

Result<std::vector<KeyRecord>> KeyStore::adopt(const KeyPlan& plan, WallTime now) {
  std::vector<KeyRecord> made;
  const auto add = [&](std::vector<KeyRecord>& records) -> Result<bool> {
    const KeyRecord* const present = active_key(records, KeyDuty::data);
    const bool are_first = present == nullptr;
    const auto algorithm =
        are_first ? plan.algorithm : static_cast<trust::Algorithm>(present->algorithm);
    for (const KeyRole role : lacking(records, plan.layout)) {
      made.push_back(TRY(make_key(records, role, algorithm, now)));
      if (are_first) made.back().active = now;
      records.push_back(made.back());
    }
    return !made.empty();
  };
  TRY(change(add));
  return made;
}

Result<void> KeyStore::note_ds_seen(std::uint16_t tag, WallTime now) {
  const auto note = [&](std::vector<KeyRecord>& records) -> Result<bool> {
    KeyRecord* record = TRY(find_record(records, tag));
    if (!may_do(record->role, KeyDuty::parent))
      return errorf("key %u is a ZSK: the zone above knows nothing of it", unsigned{tag});
    if (!record->active)
      return errorf("key %u is not active yet: no DS of it may stand above", unsigned{tag});
    if (record->ds_seen) return false;
    record->ds_seen = now;
    return true;
  };
  TRY(change(note));
  return {};
}

Result<void> KeyStore::retire_now(std::uint16_t tag, WallTime now) {
  const auto retire = [&](std::vector<KeyRecord>& records) -> Result<bool> {
    KeyRecord* record = TRY(find_record(records, tag));
    for (const KeyDuty duty : {KeyDuty::parent, KeyDuty::data}) {
      if (!may_do(record->role, duty)) continue;
      const auto other = std::ranges::find_if(records, [&](const KeyRecord& one) {
        return one.tag != tag && !one.removed && may_do(one.role, duty);
      });
      if (other == records.end())
        return errorf("key %u is the only one of its kind: make another first (keys roll)",
                      unsigned{tag});
      if (!other->active) other->active = now;
      other->retired.reset();  // it has a duty again
    }
    if (!record->retired) record->retired = now;
    record->removed = now;
    return true;
  };
  TRY(change(retire));
  return {};
}

KeySet KeyStore::on_duty() const {
  const KeyRecord* const for_parent = active_key(records_, KeyDuty::parent);
  const KeyRecord* const for_data = active_key(records_, KeyDuty::data);
  BASE_ASSERT(for_parent && for_data);
  std::vector<KeyOnDuty> keys;
  for (const KeyRecord& record : records_)
    if (!record.removed)
      keys.push_back({keys_.at(record.tag), &record == for_data, &record == for_parent,
                      may_do(record.role, KeyDuty::parent)});
  return KeySet(std::move(keys));
}

const ZoneKey* KeyStore::key(std::uint16_t tag) const {
  const auto found = keys_.find(tag);
  return found == keys_.end() ? nullptr : &found->second;
}

}  // namespace mutua::authority
