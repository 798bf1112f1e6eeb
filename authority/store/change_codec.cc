#include "authority/store/change_codec.h"

#include <algorithm>
#include <utility>

namespace mutua::authority {
namespace {

constexpr std::uint8_t kHasBefore = 1;
constexpr std::uint8_t kHasAfter = 2;

void append_rdatas(Bytes& out, const std::vector<Bytes>& rdatas) {
  append_u16(out, static_cast<std::uint16_t>(rdatas.size()));
  for (const Bytes& rdata : rdatas) {
    append_u16(out, static_cast<std::uint16_t>(rdata.size()));
    append(out, rdata);
  }
}

void append_rrset(Bytes& out, const RRset& rrset) {
  append_u32(out, rrset.ttl);
  append_rdatas(out, rrset.rdatas);
}

void append_u64(Bytes& out, std::uint64_t value) {
  append_u32(out, static_cast<std::uint32_t>(value >> 32));
  append_u32(out, static_cast<std::uint32_t>(value));
}

void append_time(Bytes& out, WallTime time) {
  append_u64(out, static_cast<std::uint64_t>(time.time_since_epoch().count()));
}

void append_name(Bytes& out, const wire::Name& name) {
  append_u8(out, static_cast<std::uint8_t>(name.wire().size()));
  append(out, name.wire());
}

void append_lease(Bytes& out, const LeaseRow& row) {
  append_name(out, row.owner);
  append_name(out, row.host);
  append(out, row.key.octets());
  append_time(out, row.expiry.value_or(WallTime()));
  append_time(out, row.key_expiry);
}

void append_replay(Bytes& out, const ReplayRow& row) {
  append(out, row.key.octets());
  append(out, row.fingerprint.octets());
  append_u64(out, static_cast<std::uint64_t>(row.signed_at));
  append_time(out, row.expiry);
}

void append_change_set(Bytes& out, const ChangeSet& change) {
  append_u32(out, change.from);
  append_u32(out, change.to);
  append_u32(out, static_cast<std::uint32_t>(change.changes.size()));
  for (const RRsetChange& one : change.changes) {
    append_name(out, one.owner);
    append_u16(out, static_cast<std::uint16_t>(one.type));
    append_u8(out, static_cast<std::uint8_t>((one.before ? kHasBefore : 0) |
                                             (one.after ? kHasAfter : 0)));
    if (one.before) append_rrset(out, *one.before);
    if (one.after) append_rrset(out, *one.after);
  }
}

template <typename Item, typename Append>
void append_list(Bytes& out, const std::vector<Item>& items, Append append_one) {
  append_u32(out, static_cast<std::uint32_t>(items.size()));
  for (const Item& item : items) append_one(out, item);
}

// Takes fields from the front; any short read spoils the whole value.
class Reader {
 public:
  explicit Reader(BytesView bytes) : rest_(bytes) {}

  BytesView take(std::size_t count) {
    if (rest_.size() < count) {
      failed_ = true;
      rest_ = {};
      return {};
    }
    const BytesView taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  std::uint8_t u8() {
    const BytesView field = take(1);
    return field.empty() ? std::uint8_t{0} : field[0];
  }
  std::uint16_t u16() {
    const BytesView field = take(2);
    return field.empty() ? std::uint16_t{0} : load_u16(field.data());
  }
  std::uint32_t u32() {
    const BytesView field = take(4);
    return field.empty() ? 0 : load_u32(field.data());
  }
  std::uint64_t u64() {
    const std::uint64_t high = u32();
    return high << 32 | u32();
  }
  WallTime time() { return WallTime(std::chrono::seconds(static_cast<std::int64_t>(u64()))); }
  wire::Name name() {
    auto read = wire::Name::from_wire(take(u8()));
    if (read.ok()) return *std::move(read);
    failed_ = true;
    return {};
  }
  trust::Digest digest() {
    return trust::Digest::from_octets(take(trust::Digest::kSize)).value_or({});
  }
  LeaseRow lease() {
    LeaseRow row;
    row.owner = name();
    row.host = name();
    row.key = digest();
    row.expiry = time();
    if (*row.expiry == WallTime()) row.expiry.reset();
    row.key_expiry = time();
    return row;
  }
  ReplayRow replay() {
    ReplayRow row;
    row.key = digest();
    row.fingerprint = digest();
    row.signed_at = static_cast<std::int64_t>(u64());
    row.expiry = time();
    return row;
  }
  // The list grows by what is there, never by what a count claims.
  template <typename Read>
  auto list(Read read_one) {
    std::vector<decltype(read_one())> items;
    for (std::uint32_t left = u32(); left > 0 && !failed_; --left) items.push_back(read_one());
    return items;
  }
  std::vector<Bytes> rdatas() {
    std::vector<Bytes> out;
    unsigned left = u16();
    // By what is there, never by what a count claims: each has a length of two octets at least.
    out.reserve(std::min<std::size_t>(left, rest_.size() / 2));
    for (; left > 0 && !failed_; --left) out.push_back(to_bytes(take(u16())));
    return out;
  }
  RRset rrset(wire::RRType type) {
    RRset out;
    out.type = type;
    out.ttl = u32();
    out.rdatas = rdatas();
    return out;
  }

  RRsetChange change() {
    RRsetChange change;
    change.owner = name();
    change.type = static_cast<wire::RRType>(u16());
    const std::uint8_t has = u8();
    if (has > (kHasBefore | kHasAfter)) failed_ = true;
    if (has & kHasBefore) change.before = rrset(change.type);
    if (has & kHasAfter) change.after = rrset(change.type);
    return change;
  }
  ChangeSet change_set() {
    ChangeSet set;
    set.from = u32();
    set.to = u32();
    set.changes = list([this] { return change(); });
    return set;
  }

  bool spent() const { return !failed_ && rest_.empty(); }

 private:
  BytesView rest_;
  bool failed_ = false;
};

Error damaged(const char* what) { return errorf("decode %s: the stored octets are damaged", what); }

}  // namespace

Bytes encode_rdatas(const std::vector<Bytes>& rdatas) {
  Bytes out;
  append_rdatas(out, rdatas);
  return out;
}

Result<std::vector<Bytes>> decode_rdatas(BytesView bytes) {
  Reader reader(bytes);
  auto rdatas = reader.rdatas();
  if (!reader.spent()) return damaged("an RRset");
  return rdatas;
}

Bytes encode_change_set(const ChangeSet& change) {
  Bytes out;
  append_change_set(out, change);
  return out;
}

Result<ChangeSet> decode_change_set(BytesView bytes) {
  Reader reader(bytes);
  auto change = reader.change_set();
  if (!reader.spent()) return damaged("a change set");
  return change;
}

Bytes encode_transaction(const Transaction& transaction) {
  Bytes out;
  append_list(out, transaction.changes, append_change_set);
  append_list(out, transaction.leases, append_lease);
  append_list(out, transaction.removed_leases, append_name);
  append_list(out, transaction.replays, append_replay);
  append_list(out, transaction.removed_replays, append_replay);
  return out;
}

Result<Transaction> decode_transaction(BytesView bytes) {
  Reader reader(bytes);
  Transaction transaction;
  transaction.changes = reader.list([&] { return reader.change_set(); });
  transaction.leases = reader.list([&] { return reader.lease(); });
  transaction.removed_leases = reader.list([&] { return reader.name(); });
  transaction.replays = reader.list([&] { return reader.replay(); });
  transaction.removed_replays = reader.list([&] { return reader.replay(); });
  if (!reader.spent()) return damaged("a transaction");
  return transaction;
}

}  // namespace mutua::authority
