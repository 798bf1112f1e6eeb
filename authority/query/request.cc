#include "authority/query/request.h"

#include <algorithm>

#include "wire/message.h"
#include "wire/name.h"

namespace mutua::authority {
namespace {

constexpr std::size_t kRecordFixedSize = 10;  // TYPE, CLASS, TTL, RDLENGTH
constexpr std::size_t kClientCookieSize = 8;
constexpr std::uint16_t kDnssecOkBit = 0x8000;

// Other options need only be whole (RFC 6891 section 6.1.2). Of several cookies the first counts.
bool read_options(BytesView options, Request& request) {
  while (!options.empty()) {
    if (options.size() < 4) return false;
    const std::size_t size = 4u + load_u16(options.data() + 2);
    if (size > options.size()) return false;
    const BytesView data = options.subspan(4, size - 4);
    switch (load_u16(options.data())) {
      case wire::edns_code::cookie:
        if (data.size() != kClientCookieSize && (data.size() < 16 || data.size() > 40))
          return false;  // RFC 7873 section 5.2.2
        if (request.cookie.empty()) request.cookie = data;
        break;
      case wire::edns_code::padding:
        request.wants_padding = true;
        break;
      default:
        break;
    }
    options = options.subspan(size);
  }
  return true;
}

// One record behind the question. `at` moves behind it; false where it is malformed.
bool read_record(BytesView message, std::size_t& at, bool in_additional, Request& request) {
  if (request.tsig_size != 0) return false;  // RFC 8945 section 5.1
  const std::size_t owner_at = at;
  if (!wire::skip_name(message, at) || message.size() - at < kRecordFixedSize) return false;
  const std::uint8_t* fixed = message.data() + at;
  const std::size_t rdata_at = at + kRecordFixedSize;
  const std::size_t rdata_size = load_u16(fixed + 8);
  if (message.size() - rdata_at < rdata_size) return false;
  at = rdata_at + rdata_size;
  const auto type = static_cast<wire::RRType>(load_u16(fixed));
  if (type == wire::RRType::tsig) {
    request.tsig_size = at - owner_at;
    return in_additional;
  }
  if (type != wire::RRType::opt) return true;

  if (!in_additional || request.has_edns || message[owner_at] != 0) return false;
  if (!read_options(message.subspan(rdata_at, rdata_size), request)) return false;
  request.has_edns = true;
  request.udp_size = std::max(load_u16(fixed + 2), std::uint16_t{512});
  request.edns_version = fixed[5];
  request.dnssec_ok = (load_u16(fixed + 6) & kDnssecOkBit) != 0;
  return true;
}

// Whatever stands behind the question. False where anything is malformed.
bool read_records(BytesView message, std::size_t at, Request& request) {
  const unsigned before_additional =
      load_u16(message.data() + 6) + unsigned{load_u16(message.data() + 8)};
  const unsigned all = before_additional + load_u16(message.data() + 10);
  for (unsigned i = 0; i < all; ++i)
    if (!read_record(message, at, i >= before_additional, request)) return false;
  return at == message.size();
}

bool read_question(BytesView message, std::size_t& at, Request& request) {
  if (!request.name.read(message.subspan(at))) return false;
  at += request.name.size();
  if (message.size() - at < 4) return false;
  request.type = static_cast<wire::RRType>(load_u16(message.data() + at));
  request.rclass = load_u16(message.data() + at + 2);
  at += 4;
  request.question = message.subspan(wire::kHeaderSize, at - wire::kHeaderSize);
  return true;
}

// RFC 9619: exactly one question; none only to ask for a cookie.
RequestKind read_body(BytesView message, Request& request) {
  const std::uint16_t questions = load_u16(message.data() + 4);
  std::size_t at = wire::kHeaderSize;
  const bool readable = questions == 1 ? read_question(message, at, request) : questions == 0;
  if (!readable || !read_records(message, at, request)) return RequestKind::malformed;
  if (questions == 1) return RequestKind::query;
  return request.cookie.empty() ? RequestKind::malformed : RequestKind::cookie;
}

}  // namespace

void parse_request(BytesView message, Request& request) {
  request.kind = RequestKind::silent;
  request.question = {};
  request.has_edns = request.dnssec_ok = false;
  request.edns_version = 0;
  request.udp_size = 512;
  request.cookie = {};
  request.wants_padding = false;
  request.tsig_size = 0;
  if (message.size() < wire::kHeaderSize || (message[2] & 0x80) != 0) return;

  request.id = load_u16(message.data());
  request.opcode = message[2] >> 3 & 15;
  request.recursion_desired = (message[2] & 0x01) != 0;
  request.checking_disabled = (message[3] & 0x10) != 0;
  if (request.opcode == static_cast<std::uint8_t>(wire::Opcode::update) ||
      request.opcode == static_cast<std::uint8_t>(wire::Opcode::notify))
    request.kind = RequestKind::update;
  else if (request.opcode != static_cast<std::uint8_t>(wire::Opcode::query))
    request.kind = RequestKind::other;
  else
    request.kind = read_body(message, request);
}

}  // namespace mutua::authority
