#include "wire/sig0.h"

namespace mutua::wire {
namespace {

constexpr std::size_t kFixedRdata = 18;  // type covered .. key tag

// The SIG RDATA up to and without the signature (RFC 2931 section 3).
Bytes rdata_before_signature(const Sig0& sig0) {
  Bytes rdata;
  append_u16(rdata, 0);  // type covered: a transaction
  append_u8(rdata, sig0.algorithm);
  append_u8(rdata, 0);   // labels
  append_u32(rdata, 0);  // original TTL
  append_u32(rdata, sig0.expiration);
  append_u32(rdata, sig0.inception);
  append_u16(rdata, sig0.key_tag);
  append(rdata, sig0.signer.lowered().wire());
  return rdata;
}

}  // namespace

Result<Sig0> read_sig0(BytesView bytes, const Message& message) {
  BASE_ASSERT(message.signature_offset && message.signature_type == RRType::sig);
  std::size_t at = *message.signature_offset;
  const Name owner = TRY(read_name(bytes, at));
  if (!owner.is_root()) return Error("SIG(0): the owner is not the root");
  const std::uint8_t* fixed = bytes.data() + at;
  const std::size_t length = load_u16(fixed + 8);
  if (load_u32(fixed + 4) != 0) return Error("SIG(0): the TTL is not zero");
  const std::size_t end = at + 10 + length;
  at += 10;
  if (length < kFixedRdata) return Error("SIG(0): RDATA too short");
  const std::uint8_t* rdata = bytes.data() + at;
  if (rdata[3] != 0 || load_u32(rdata + 4) != 0) {
    return Error("SIG(0): labels and original TTL must be zero");
  }
  Sig0 sig0;
  sig0.algorithm = rdata[2];
  sig0.expiration = load_u32(rdata + 8);
  sig0.inception = load_u32(rdata + 12);
  sig0.key_tag = load_u16(rdata + 16);
  at += kFixedRdata;
  sig0.signer = TRY(read_name(bytes.first(end), at));
  sig0.signature = to_bytes(bytes.subspan(at, end - at));
  return sig0;
}

Bytes sig0_signed_bytes(BytesView before_signature, const Sig0& sig0) {
  Bytes covered = rdata_before_signature(sig0);
  append(covered, before_signature);
  return covered;
}

Bytes sig0_signed_bytes_of(BytesView bytes, const Message& message, const Sig0& sig0) {
  Bytes before = to_bytes(bytes.first(*message.signature_offset));
  store_u16(before.data() + 10, static_cast<std::uint16_t>(load_u16(before.data() + 10) - 1));
  return sig0_signed_bytes(before, sig0);
}

Bytes sign_sig0(Bytes message, Sig0 fields, const std::function<Bytes(BytesView)>& sign) {
  const Bytes signature = sign(sig0_signed_bytes(message, fields));
  Bytes rdata = rdata_before_signature(fields);
  append(rdata, signature);
  append_u8(message, 0);
  append_u16(message, static_cast<std::uint16_t>(RRType::sig));
  append_u16(message, static_cast<std::uint16_t>(RRClass::any));
  append_u32(message, 0);
  append_u16(message, static_cast<std::uint16_t>(rdata.size()));
  append(message, rdata);
  store_u16(message.data() + 10, static_cast<std::uint16_t>(load_u16(message.data() + 10) + 1));
  return message;
}

bool carries_sig0(BytesView message) {
  constexpr std::size_t kQuestionFixedSize = 4, kRecordFixedSize = 10;
  if (message.size() < kHeaderSize || load_u16(message.data() + 10) == 0) return false;
  std::size_t at = kHeaderSize;
  for (unsigned left = load_u16(message.data() + 4); left > 0; --left) {
    if (!skip_name(message, at) || message.size() - at < kQuestionFixedSize) return false;
    at += kQuestionFixedSize;
  }
  unsigned left = load_u16(message.data() + 6) + unsigned{load_u16(message.data() + 8)} +
                  load_u16(message.data() + 10);
  for (; left > 0; --left) {
    if (!skip_name(message, at) || message.size() - at < kRecordFixedSize) return false;
    const std::uint8_t* fixed = message.data() + at;
    if (left == 1) return static_cast<RRType>(load_u16(fixed)) == RRType::sig;
    const std::size_t size = kRecordFixedSize + load_u16(fixed + 8);
    if (message.size() - at < size) return false;
    at += size;
  }
  return false;
}

}  // namespace mutua::wire
