#include "authority/store/change_codec.h"

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
  std::vector<Bytes> rdatas() {
    std::vector<Bytes> out;
    // The vector grows by what is there, never by what a count claims.
    for (unsigned left = u16(); left > 0 && !failed_; --left) out.push_back(to_bytes(take(u16())));
    return out;
  }
  RRset rrset(wire::RRType type) {
    RRset out;
    out.type = type;
    out.ttl = u32();
    out.rdatas = rdatas();
    return out;
  }

  bool failed() const { return failed_; }
  bool spent() const { return !failed_ && rest_.empty(); }

 private:
  BytesView rest_;
  bool failed_ = false;
};

Error damaged(const char* what) { return errorf("decode %s: the stored octets are damaged", what); }

Result<RRsetChange> read_change(Reader& reader) {
  auto owner = wire::Name::from_wire(reader.take(reader.u8()));
  const auto type = static_cast<wire::RRType>(reader.u16());
  const std::uint8_t has = reader.u8();
  if (reader.failed() || !owner.ok() || has > (kHasBefore | kHasAfter)) return damaged("a change");
  RRsetChange change;
  change.owner = *std::move(owner);
  change.type = type;
  if (has & kHasBefore) change.before = reader.rrset(type);
  if (has & kHasAfter) change.after = reader.rrset(type);
  return change;
}

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
  append_u32(out, change.from);
  append_u32(out, change.to);
  append_u32(out, static_cast<std::uint32_t>(change.changes.size()));
  for (const RRsetChange& one : change.changes) {
    append_u8(out, static_cast<std::uint8_t>(one.owner.wire().size()));
    append(out, one.owner.wire());
    append_u16(out, static_cast<std::uint16_t>(one.type));
    append_u8(out, static_cast<std::uint8_t>((one.before ? kHasBefore : 0) |
                                             (one.after ? kHasAfter : 0)));
    if (one.before) append_rrset(out, *one.before);
    if (one.after) append_rrset(out, *one.after);
  }
  return out;
}

Result<ChangeSet> decode_change_set(BytesView bytes) {
  Reader reader(bytes);
  ChangeSet change;
  change.from = reader.u32();
  change.to = reader.u32();
  for (std::uint32_t left = reader.u32(); left > 0; --left) {
    change.changes.push_back(TRY(read_change(reader)));
  }
  if (!reader.spent()) return damaged("a change set");
  return change;
}

}  // namespace mutua::authority
