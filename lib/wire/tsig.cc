#include "wire/tsig.h"

#include <utility>

namespace mutua::wire {
namespace {

void append_u48(Bytes& out, std::uint64_t value) {
  append_u16(out, static_cast<std::uint16_t>(value >> 32));
  append_u32(out, static_cast<std::uint32_t>(value));
}

Bytes rdata_of(const Tsig& tsig) {
  Bytes rdata = to_bytes(tsig.algorithm.lowered().wire());
  append_u48(rdata, tsig.time_signed);
  append_u16(rdata, tsig.fudge);
  append_u16(rdata, static_cast<std::uint16_t>(tsig.mac.size()));
  append(rdata, tsig.mac);
  append_u16(rdata, tsig.original_id);
  append_u16(rdata, static_cast<std::uint16_t>(tsig.error));
  append_u16(rdata, static_cast<std::uint16_t>(tsig.other.size()));
  append(rdata, tsig.other);
  return rdata;
}

}  // namespace

Result<Tsig> read_tsig(BytesView bytes, const Message& message) {
  BASE_ASSERT(message.signature_offset && message.signature_type == RRType::tsig);
  std::size_t at = *message.signature_offset;
  Tsig tsig;
  tsig.key_name = TRY(read_name(bytes, at));
  const std::uint8_t* fixed = bytes.data() + at;
  if (load_u16(fixed + 2) != static_cast<std::uint16_t>(RRClass::any) || load_u32(fixed + 4) != 0) {
    return Error("TSIG: class is not ANY or TTL is not zero");
  }
  const std::size_t end = at + 10 + load_u16(fixed + 8);
  const BytesView whole = bytes.first(end);
  at += 10;
  tsig.algorithm = TRY(read_name(whole, at));
  if (end - at < 10) return Error("TSIG: RDATA too short");
  const std::uint8_t* fields = bytes.data() + at;
  tsig.time_signed = static_cast<std::uint64_t>(load_u16(fields)) << 32 | load_u32(fields + 2);
  tsig.fudge = load_u16(fields + 6);
  const std::size_t mac_size = load_u16(fields + 8);
  at += 10;
  if (end - at < mac_size + 6) return Error("TSIG: the MAC runs past the end");
  tsig.mac = to_bytes(whole.subspan(at, mac_size));
  at += mac_size;
  fields = bytes.data() + at;
  tsig.original_id = load_u16(fields);
  tsig.error = static_cast<Rcode>(load_u16(fields + 2));
  const std::size_t other_size = load_u16(fields + 4);
  at += 6;
  if (end - at != other_size) return Error("TSIG: RDATA of the wrong size");
  tsig.other = to_bytes(whole.subspan(at, other_size));
  return tsig;
}

Bytes tsig_signed_bytes(BytesView before_signature, const Tsig& tsig, BytesView request_mac) {
  Bytes covered;
  if (!request_mac.empty()) {
    append_u16(covered, static_cast<std::uint16_t>(request_mac.size()));
    append(covered, request_mac);
  }
  const std::size_t message_at = covered.size();
  append(covered, before_signature);
  store_u16(covered.data() + message_at, tsig.original_id);
  append(covered, tsig.key_name.lowered().wire());
  append_u16(covered, static_cast<std::uint16_t>(RRClass::any));
  append_u32(covered, 0);
  append(covered, tsig.algorithm.lowered().wire());
  append_u48(covered, tsig.time_signed);
  append_u16(covered, tsig.fudge);
  append_u16(covered, static_cast<std::uint16_t>(tsig.error));
  append_u16(covered, static_cast<std::uint16_t>(tsig.other.size()));
  append(covered, tsig.other);
  return covered;
}

Bytes tsig_signed_bytes_of(BytesView bytes, const Message& message, const Tsig& tsig,
                           BytesView request_mac) {
  Bytes before = to_bytes(bytes.first(*message.signature_offset));
  store_u16(before.data() + 10, static_cast<std::uint16_t>(load_u16(before.data() + 10) - 1));
  return tsig_signed_bytes(before, tsig, request_mac);
}

Bytes tsig_continued_bytes(BytesView before_signature, const Tsig& tsig, BytesView mac_before) {
  Bytes covered;
  append_u16(covered, static_cast<std::uint16_t>(mac_before.size()));
  append(covered, mac_before);
  const std::size_t message_at = covered.size();
  append(covered, before_signature);
  store_u16(covered.data() + message_at, tsig.original_id);
  append_u48(covered, tsig.time_signed);
  append_u16(covered, tsig.fudge);
  return covered;
}

Bytes append_tsig(Bytes message, const Tsig& tsig) {
  const Bytes rdata = rdata_of(tsig);
  append(message, tsig.key_name.wire());
  append_u16(message, static_cast<std::uint16_t>(RRType::tsig));
  append_u16(message, static_cast<std::uint16_t>(RRClass::any));
  append_u32(message, 0);
  append_u16(message, static_cast<std::uint16_t>(rdata.size()));
  append(message, rdata);
  store_u16(message.data() + 10, static_cast<std::uint16_t>(load_u16(message.data() + 10) + 1));
  return message;
}

Bytes sign_tsig(Bytes message, Tsig fields, BytesView request_mac,
                const std::function<Bytes(BytesView)>& mac_of) {
  fields.mac.clear();
  if (mac_of) fields.mac = mac_of(tsig_signed_bytes(message, fields, request_mac));
  return append_tsig(std::move(message), fields);
}

}  // namespace mutua::wire
