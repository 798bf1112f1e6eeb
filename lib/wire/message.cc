#include "wire/message.h"

#include <string>
#include <unordered_map>

#include "wire/rdata.h"

namespace mutua::wire {
namespace {

constexpr std::uint16_t kResponseBit = 0x8000, kAuthoritativeBit = 0x0400, kTruncatedBit = 0x0200,
                        kRecursionDesiredBit = 0x0100, kRecursionAvailableBit = 0x0080,
                        kAuthenticDataBit = 0x0020, kCheckingDisabledBit = 0x0010;
constexpr std::uint32_t kDnssecOkBit = 0x8000;

std::uint16_t flags_of(const Header& header) {
  unsigned flags =
      static_cast<unsigned>(header.opcode) << 11 | (static_cast<unsigned>(header.rcode) & 15U);
  if (header.response) flags |= kResponseBit;
  if (header.authoritative) flags |= kAuthoritativeBit;
  if (header.truncated) flags |= kTruncatedBit;
  if (header.recursion_desired) flags |= kRecursionDesiredBit;
  if (header.recursion_available) flags |= kRecursionAvailableBit;
  if (header.authentic_data) flags |= kAuthenticDataBit;
  if (header.checking_disabled) flags |= kCheckingDisabledBit;
  return static_cast<std::uint16_t>(flags);
}

// A record as it stands in the message.
struct RawRecord {
  Name owner;
  RRType type;
  std::uint16_t rclass;
  std::uint32_t ttl;
  std::size_t offset;  // where the owner begins
  std::size_t rdata_offset;
  std::size_t rdata_length;
};

Result<RawRecord> read_record(BytesView bytes, std::size_t& at) {
  const std::size_t start = at;
  Name owner = TRY(read_name(bytes, at));
  if (at + 10 > bytes.size()) return Error("record: runs past the end");
  const std::uint8_t* fields = bytes.data() + at;
  RawRecord record{std::move(owner),
                   static_cast<RRType>(load_u16(fields)),
                   load_u16(fields + 2),
                   load_u32(fields + 4),
                   start,
                   at + 10,
                   load_u16(fields + 8)};
  at += 10 + record.rdata_length;
  if (at > bytes.size()) return Error("record: RDATA runs past the end");
  return record;
}

Result<Edns> read_opt(BytesView bytes, const RawRecord& record, Rcode& rcode) {
  if (!record.owner.is_root()) return Error("OPT record: the owner is not the root");
  Edns edns;
  edns.udp_size = record.rclass;
  edns.version = static_cast<std::uint8_t>(record.ttl >> 16);
  edns.dnssec_ok = (record.ttl & kDnssecOkBit) != 0;
  rcode = static_cast<Rcode>((record.ttl >> 24) << 4 | static_cast<unsigned>(rcode));
  BytesView rest = bytes.subspan(record.rdata_offset, record.rdata_length);
  while (!rest.empty()) {
    if (rest.size() < 4) return Error("OPT record: an option runs past the end");
    const std::size_t length = load_u16(rest.data() + 2);
    if (rest.size() < 4 + length) return Error("OPT record: an option runs past the end");
    edns.options.push_back({load_u16(rest.data()), to_bytes(rest.subspan(4, length))});
    rest = rest.subspan(4 + length);
  }
  return edns;
}

Result<Record> read_plain_record(BytesView bytes, RawRecord raw) {
  // Deletions and prerequisites of UPDATE carry no RDATA; everything else has its type's shape.
  Bytes rdata;
  const bool may_be_empty = raw.rclass == static_cast<std::uint16_t>(RRClass::any) ||
                            raw.rclass == static_cast<std::uint16_t>(RRClass::none);
  if (raw.rdata_length > 0 || !may_be_empty) {
    rdata = TRY(extract_rdata(bytes, raw.rdata_offset, raw.rdata_length, raw.type));
  }
  return Record{std::move(raw.owner), raw.type, static_cast<RRClass>(raw.rclass), raw.ttl,
                std::move(rdata)};
}

bool is_transaction_signature(BytesView bytes, const RawRecord& record) {
  if (record.type == RRType::tsig) return true;
  return record.type == RRType::sig && record.rdata_length >= 2 &&
         load_u16(bytes.data() + record.rdata_offset) == 0;
}

Result<void> read_additional(BytesView bytes, std::size_t& at, unsigned count, Message& message) {
  for (unsigned i = 0; i < count; ++i) {
    RawRecord raw = TRY(read_record(bytes, at));
    if (raw.type == RRType::opt) {
      if (message.edns) return Error("two OPT records");
      message.edns = TRY(read_opt(bytes, raw, message.header.rcode));
    } else if (is_transaction_signature(bytes, raw)) {
      if (i + 1 != count) return Error("a transaction signature that is not the last record");
      message.signature_offset = raw.offset;
      message.signature_type = raw.type;
    } else {
      message.additional.push_back(TRY(read_plain_record(bytes, std::move(raw))));
    }
  }
  return {};
}

Result<void> read_section(BytesView bytes, std::size_t& at, unsigned count,
                          std::vector<Record>& section) {
  for (unsigned i = 0; i < count; ++i) {
    RawRecord raw = TRY(read_record(bytes, at));
    if (raw.type == RRType::opt || raw.type == RRType::tsig) {
      return Error(to_text(raw.type) + " record outside the additional section");
    }
    section.push_back(TRY(read_plain_record(bytes, std::move(raw))));
  }
  return {};
}

// Writes records with compressed owner names and, in the types of RFC 1035, compressed RDATA names.
class Writer {
 public:
  Writer(Bytes& out, std::size_t limit) : out_(out), limit_(limit) {}

  void name(const Name& name, bool compress) {
    Name rest = name;
    while (!rest.is_root()) {
      if (const auto known = offsets_.find(rest); known != offsets_.end() && compress) {
        append_u16(out_, static_cast<std::uint16_t>(0xc000U | known->second));
        return;
      }
      if (out_.size() < 0x4000) offsets_.emplace(rest, static_cast<std::uint16_t>(out_.size()));
      const std::string_view label = rest.label(0);
      append_u8(out_, static_cast<std::uint8_t>(label.size()));
      append(out_, as_bytes(label));
      rest = rest.parent();
    }
    append_u8(out_, 0);
  }

  // False, with nothing written, where the record does not fit.
  bool record(const Record& record) {
    const std::size_t start = out_.size();
    name(record.owner, true);
    append_u16(out_, static_cast<std::uint16_t>(record.type));
    append_u16(out_, static_cast<std::uint16_t>(record.rclass));
    append_u32(out_, record.ttl);
    const std::size_t length_at = out_.size();
    append_u16(out_, 0);
    rdata(record);
    store_u16(out_.data() + length_at, static_cast<std::uint16_t>(out_.size() - length_at - 2));
    if (out_.size() <= limit_) return true;
    out_.resize(start);
    std::erase_if(offsets_, [&](const auto& entry) { return entry.second >= start; });
    return false;
  }

 private:
  void rdata(const Record& record) {
    const BytesView content = record.rdata;
    std::size_t at = 0;
    unsigned names = 0;
    switch (record.type) {
      case RRType::ns:
      case RRType::cname:
      case RRType::ptr:
        names = 1;
        break;
      case RRType::soa:
        names = 2;
        break;
      case RRType::mx:
        names = 1;
        at = 2;
        break;
      default:
        break;
    }
    if (content.empty() || at > content.size()) names = 0;
    if (names == 0) at = 0;
    append(out_, content.first(at));
    for (; names > 0; --names) {
      auto embedded = read_name(content, at);
      BASE_ASSERT(embedded.ok());
      name(*embedded, true);
    }
    append(out_, content.subspan(at));
  }

  Bytes& out_;
  std::size_t limit_;
  std::unordered_map<Name, std::uint16_t> offsets_;
};

Bytes opt_record(const Edns& edns, Rcode rcode) {
  Bytes out{0};
  append_u16(out, static_cast<std::uint16_t>(RRType::opt));
  append_u16(out, edns.udp_size);
  append_u32(out, (static_cast<std::uint32_t>(rcode) >> 4) << 24 |
                      static_cast<std::uint32_t>(edns.version) << 16 |
                      (edns.dnssec_ok ? kDnssecOkBit : 0));
  Bytes options;
  for (const EdnsOption& option : edns.options) {
    append_u16(options, option.code);
    append_u16(options, static_cast<std::uint16_t>(option.data.size()));
    append(options, option.data);
  }
  append_u16(out, static_cast<std::uint16_t>(options.size()));
  append(out, options);
  return out;
}

}  // namespace

std::optional<Header> parse_header(BytesView bytes) {
  if (bytes.size() < kHeaderSize) return std::nullopt;
  const std::uint16_t flags = load_u16(bytes.data() + 2);
  Header header;
  header.id = load_u16(bytes.data());
  header.response = flags & kResponseBit;
  header.opcode = static_cast<Opcode>(flags >> 11 & 15);
  header.authoritative = flags & kAuthoritativeBit;
  header.truncated = flags & kTruncatedBit;
  header.recursion_desired = flags & kRecursionDesiredBit;
  header.recursion_available = flags & kRecursionAvailableBit;
  header.authentic_data = flags & kAuthenticDataBit;
  header.checking_disabled = flags & kCheckingDisabledBit;
  header.rcode = static_cast<Rcode>(flags & 15);
  return header;
}

Result<Message> parse(BytesView bytes) {
  const auto header = parse_header(bytes);
  if (!header) return Error("message: shorter than its header");
  if (bytes.size() > kLargestMessage) return Error("message: longer than 65535 octets");
  Message message;
  message.header = *header;
  std::size_t at = kHeaderSize;
  const auto count = [&](std::size_t section) { return load_u16(bytes.data() + 4 + 2 * section); };
  for (unsigned i = 0; i < count(0); ++i) {
    Question question;
    question.name = TRY(read_name(bytes, at));
    if (at + 4 > bytes.size()) return Error("question: runs past the end");
    question.type = static_cast<RRType>(load_u16(bytes.data() + at));
    question.rclass = static_cast<RRClass>(load_u16(bytes.data() + at + 2));
    at += 4;
    message.question.push_back(std::move(question));
  }
  TRY(read_section(bytes, at, count(1), message.answer));
  TRY(read_section(bytes, at, count(2), message.authority));
  TRY(read_additional(bytes, at, count(3), message));
  if (at != bytes.size()) return Error("message: octets behind the last record");
  return message;
}

Bytes Message::to_wire(std::size_t limit) const {
  const Bytes opt = edns ? opt_record(*edns, header.rcode) : Bytes{};
  BASE_ASSERT(limit >= kHeaderSize + opt.size());
  Bytes out(kHeaderSize);
  store_u16(out.data(), header.id);
  std::uint16_t flags = flags_of(header);
  Writer writer(out, limit - opt.size());
  for (const Question& one : question) {
    writer.name(one.name, true);
    append_u16(out, static_cast<std::uint16_t>(one.type));
    append_u16(out, static_cast<std::uint16_t>(one.rclass));
  }
  std::uint16_t counts[3] = {0, 0, 0};
  const std::vector<Record>* sections[3] = {&answer, &authority, &additional};
  bool full = false;
  for (std::size_t section = 0; section < 3 && !full; ++section) {
    for (const Record& record : *sections[section]) {
      if (!writer.record(record)) {
        full = true;
        if (section < 2) flags |= kTruncatedBit;
        break;
      }
      ++counts[section];
    }
  }
  if (edns) {
    append(out, opt);
    ++counts[2];
  }
  store_u16(out.data() + 2, flags);
  store_u16(out.data() + 4, static_cast<std::uint16_t>(question.size()));
  for (std::size_t section = 0; section < 3; ++section) {
    store_u16(out.data() + 6 + 2 * section, counts[section]);
  }
  return out;
}

Message Message::response(Rcode rcode) const {
  Message reply;
  reply.header.id = header.id;
  reply.header.opcode = header.opcode;
  reply.header.response = true;
  reply.header.recursion_desired = header.recursion_desired;
  reply.header.checking_disabled = header.checking_disabled;
  reply.header.rcode = rcode;
  reply.question = question;
  if (edns)
    reply.edns =
        Edns{.udp_size = kEdnsUdpSize, .version = 0, .dnssec_ok = edns->dnssec_ok, .options = {}};
  return reply;
}

}  // namespace mutua::wire
