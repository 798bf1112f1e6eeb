#include "wire/rdata.h"

#include <algorithm>

namespace mutua::wire {
namespace {

// How the RDATA of the types with embedded names is laid out: so many octets, then names, then so
// many octets. RFC 3597 section 4 closed the list of types whose names may be compressed; SRV
// (RFC 2782), NAPTR and DNAME must not be, yet receivers are told to take them.
struct NameLayout {
  std::size_t octets_before = 0;
  unsigned names = 0;
  std::size_t octets_after = 0;
  bool strings_before = false;  // NAPTR: three character-strings stand between
};

std::optional<NameLayout> layout_of(RRType type) {
  switch (static_cast<std::uint16_t>(type)) {
    case 2:
    case 3:
    case 4:
    case 5:
    case 7:
    case 8:
    case 9:
    case 12:
    case 39:
      return NameLayout{0, 1, 0};  // NS MD MF CNAME MB MG MR PTR DNAME
    case 6:
      return NameLayout{0, 2, 20};  // SOA
    case 14:
    case 17:
      return NameLayout{0, 2, 0};  // MINFO RP
    case 15:
    case 18:
    case 21:
    case 36:
      return NameLayout{2, 1, 0};  // MX AFSDB RT KX
    case 33:
      return NameLayout{6, 1, 0};  // SRV
    case 35:
      return NameLayout{4, 1, 0, true};  // NAPTR
    default:
      return std::nullopt;
  }
}

// Passes the character-strings that begin at `at`; false where they do not end before `end`.
bool skip_strings(BytesView bytes, std::size_t& at, std::size_t end, unsigned count) {
  for (; count > 0; --count) {
    if (at >= end || at + 1 + bytes[at] > end) return false;
    at += 1U + bytes[at];
  }
  return true;
}

Result<void> check_strings(BytesView rdata) {
  if (rdata.empty()) return Error("no character-string");
  for (std::size_t at = 0; at < rdata.size(); at += 1U + rdata[at]) {
    if (at + 1 + rdata[at] > rdata.size()) return Error("a character-string runs past the end");
  }
  return {};
}

Result<void> check_size(BytesView rdata, std::size_t minimum, std::size_t maximum) {
  if (rdata.size() < minimum || rdata.size() > maximum) {
    return errorf("%zu octets of RDATA", rdata.size());
  }
  return {};
}

// Types without embedded names whose shape is worth a check before a zone takes them.
Result<void> check_plain(RRType type, BytesView rdata) {
  constexpr std::size_t any = 65535;
  switch (type) {
    case RRType::a:
      return check_size(rdata, 4, 4);
    case RRType::aaaa:
      return check_size(rdata, 16, 16);
    case RRType::txt:
      return check_strings(rdata);
    case RRType::key:
    case RRType::dnskey:
    case RRType::cdnskey:
      return check_size(rdata, 4, any);
    case RRType::ds:
    case RRType::cds:
      return check_size(rdata, 5, any);
    case RRType::svcb:
    case RRType::https:
      return check_size(rdata, 3, any);
    case RRType::caa:
      return check_size(rdata, 3, any);
    default:
      return {};
  }
}

}  // namespace

Result<Bytes> extract_rdata(BytesView message, std::size_t offset, std::size_t length,
                            RRType type) {
  const auto failed = [&](const Error& error) { return error.in(to_text(type) + " record"); };
  const std::size_t end = offset + length;
  if (end > message.size()) return failed(Error("RDATA runs past the end"));
  const BytesView plain = message.subspan(offset, length);
  const auto layout = layout_of(type);
  if (!layout) {
    if (auto checked = check_plain(type, plain); !checked.ok()) return failed(checked.error());
    return to_bytes(plain);
  }
  std::size_t at = offset + layout->octets_before;
  if (at > end) return failed(Error("RDATA too short"));
  if (layout->strings_before && !skip_strings(message, at, end, 3)) {
    return failed(Error("a character-string runs past the end"));
  }
  Bytes rdata = to_bytes(message.subspan(offset, at - offset));
  for (unsigned i = 0; i < layout->names; ++i) {
    auto name = read_name(message.first(end), at);
    if (!name.ok()) return failed(name.error());
    append(rdata, name->wire());
  }
  if (end - at != layout->octets_after) return failed(Error("RDATA of the wrong size"));
  append(rdata, message.subspan(at, layout->octets_after));
  return rdata;
}

Result<void> check_rdata(RRType type, BytesView rdata) {
  if (!layout_of(type)) {
    auto checked = check_plain(type, rdata);
    return checked.ok() ? checked : Result<void>(checked.error().in(to_text(type) + " record"));
  }
  const Bytes extracted = TRY(extract_rdata(rdata, 0, rdata.size(), type));
  if (!std::ranges::equal(extracted, rdata))
    return Error(to_text(type) + " record: a compressed name");
  return {};
}

Bytes canonical_rdata(RRType type, BytesView rdata) {
  Bytes canonical = to_bytes(rdata);
  const auto layout = layout_of(type);
  if (!layout) return canonical;
  std::size_t at = std::min(layout->octets_before, rdata.size());
  if (layout->strings_before && !skip_strings(rdata, at, rdata.size(), 3)) return canonical;
  // A label's length octet is below 'A', so the whole stretch of names can be lowered at once.
  const std::size_t end = rdata.size() - std::min(layout->octets_after, rdata.size());
  for (; at < end; ++at) {
    if (canonical[at] >= 'A' && canonical[at] <= 'Z') {
      canonical[at] = static_cast<std::uint8_t>(canonical[at] + ('a' - 'A'));
    }
  }
  return canonical;
}

Result<Soa> parse_soa(BytesView rdata) {
  Soa soa;
  std::size_t at = 0;
  soa.mname = TRY(read_name(rdata, at));
  soa.rname = TRY(read_name(rdata, at));
  if (rdata.size() - at != 20) return Error("SOA record: RDATA of the wrong size");
  const std::uint8_t* fields = rdata.data() + at;
  soa.serial = load_u32(fields);
  soa.refresh = load_u32(fields + 4);
  soa.retry = load_u32(fields + 8);
  soa.expire = load_u32(fields + 12);
  soa.minimum = load_u32(fields + 16);
  return soa;
}

Bytes make_soa(const Soa& soa) {
  Bytes rdata = to_bytes(soa.mname.wire());
  append(rdata, soa.rname.wire());
  for (const std::uint32_t field : {soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum}) {
    append_u32(rdata, field);
  }
  return rdata;
}

Result<Srv> parse_srv(BytesView rdata) {
  if (rdata.size() < 7) return Error("SRV record: RDATA too short");
  Srv srv{load_u16(rdata.data()), load_u16(rdata.data() + 2), load_u16(rdata.data() + 4), Name()};
  srv.target = TRY(Name::from_wire(rdata.subspan(6)));
  return srv;
}

Bytes make_srv(const Srv& srv) {
  Bytes rdata;
  append_u16(rdata, srv.priority);
  append_u16(rdata, srv.weight);
  append_u16(rdata, srv.port);
  append(rdata, srv.target.wire());
  return rdata;
}

Result<Key> parse_key(BytesView rdata) {
  if (rdata.size() < 5) return Error("KEY record: RDATA too short");
  return Key{load_u16(rdata.data()), rdata[2], rdata[3], to_bytes(rdata.subspan(4))};
}

Bytes make_key(const Key& key) {
  Bytes rdata;
  append_u16(rdata, key.flags);
  append_u8(rdata, key.protocol);
  append_u8(rdata, key.algorithm);
  append(rdata, key.public_key);
  return rdata;
}

std::uint16_t key_tag(BytesView key_rdata) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < key_rdata.size(); ++i) {
    sum += i % 2 == 0 ? static_cast<std::uint32_t>(key_rdata[i] << 8) : key_rdata[i];
  }
  return static_cast<std::uint16_t>(sum + (sum >> 16));
}

bool Nsec3Parameters::is_plain() const {
  constexpr std::uint8_t kSha1 = 1;
  return algorithm == kSha1 && iterations == 0;
}

//   algorithm 1 | flags 1 | iterations 2 | salt length 1 | salt
Result<Nsec3Parameters> parse_nsec3param(BytesView rdata) {
  constexpr std::size_t kFixedSize = 5;
  if (rdata.size() < kFixedSize || rdata.size() != kFixedSize + rdata[4])
    return Error("NSEC3PARAM record: RDATA of the wrong size");
  return Nsec3Parameters{rdata[0], load_u16(rdata.data() + 2), to_bytes(rdata.subspan(kFixedSize))};
}

Result<std::vector<std::string>> parse_txt(BytesView rdata) {
  if (auto checked = check_strings(rdata); !checked.ok()) return checked.error().in("TXT record");
  std::vector<std::string> strings;
  for (std::size_t at = 0; at < rdata.size(); at += 1U + rdata[at]) {
    strings.emplace_back(as_text(rdata.subspan(at + 1, rdata[at])));
  }
  return strings;
}

Result<Bytes> make_txt(const std::vector<std::string>& strings) {
  if (strings.empty()) return Error("TXT record: no character-string");
  Bytes rdata;
  for (const std::string& string : strings) {
    if (string.size() > 255) return Error("TXT record: a string of more than 255 octets");
    append_u8(rdata, static_cast<std::uint8_t>(string.size()));
    append(rdata, as_bytes(string));
  }
  if (rdata.size() > 65535) return Error("TXT record: more than 65535 octets");
  return rdata;
}

Result<Name> parse_name_rdata(BytesView rdata) { return Name::from_wire(rdata); }

std::optional<std::size_t> target_offset(RRType type) {
  switch (type) {
    case RRType::ns:
    case RRType::cname:
    case RRType::ptr:
      return 0;
    case RRType::mx:
      return 2;
    case RRType::srv:
      return 6;
    default:
      return std::nullopt;
  }
}

std::optional<Name> target_of(RRType type, BytesView rdata) {
  const auto skip = target_offset(type);
  if (!skip || rdata.size() <= *skip) return std::nullopt;
  auto name = Name::from_wire(rdata.subspan(*skip));
  if (!name.ok()) return std::nullopt;
  return *std::move(name);
}

}  // namespace mutua::wire
