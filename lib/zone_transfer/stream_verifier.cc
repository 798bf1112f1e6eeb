#include "zone_transfer/stream_verifier.h"

#include <utility>

#include "trust/mac.h"
#include "wire/tsig.h"

namespace mutua::zone_transfer {
namespace {

constexpr unsigned kMostUnsigned = 99;

}  // namespace

Result<Bytes> StreamVerifier::sign_request(Bytes message, WallTime now) {
  if (!key_) return message;
  wire::Tsig fields;
  fields.key_name = key_->name;
  fields.algorithm = TRY(wire::Name::parse(key_->algorithm));
  fields.time_signed = static_cast<std::uint64_t>(now.time_since_epoch().count());
  fields.original_id = load_u16(message.data());
  const Bytes covered = wire::tsig_signed_bytes(message, fields, {});
  fields.mac = TRY(trust::hmac(key_->algorithm, key_->secret, covered));
  last_mac_ = fields.mac;
  return wire::append_tsig(std::move(message), fields);
}

Result<void> StreamVerifier::check(BytesView bytes, const wire::Message& message, WallTime now) {
  if (!key_) return {};
  const bool is_signed = message.signature_offset && message.signature_type == wire::RRType::tsig;
  if (!is_signed) {
    if (is_first_) return Error("the answer is not signed");
    if (++unsigned_count_ > kMostUnsigned) return Error("too many messages without a signature");
    append(unsigned_octets_, bytes);
    return {};
  }
  const wire::Tsig tsig = TRY(wire::read_tsig(bytes, message));
  if (tsig.key_name != key_->name || tsig.algorithm != TRY(wire::Name::parse(key_->algorithm)))
    return Error("signed with another key");
  if (tsig.error != wire::Rcode::noerror) return Error("our signature: " + to_text(tsig.error));
  const auto distance = static_cast<std::int64_t>(tsig.time_signed) -
                        static_cast<std::int64_t>(now.time_since_epoch().count());
  if (distance > tsig.fudge || distance < -std::int64_t{tsig.fudge})
    return Error("signed at another time than ours");

  Bytes covered;
  if (is_first_) {
    covered = wire::tsig_signed_bytes_of(bytes, message, tsig, last_mac_);
  } else {
    Bytes before = to_bytes(bytes.first(*message.signature_offset));
    store_u16(before.data() + 10, static_cast<std::uint16_t>(load_u16(before.data() + 10) - 1));
    append(unsigned_octets_, before);
    covered = wire::tsig_continued_bytes(unsigned_octets_, tsig, last_mac_);
  }
  const Bytes mac = TRY(trust::hmac(key_->algorithm, key_->secret, covered));
  if (!trust::equal_in_constant_time(mac, tsig.mac)) return Error("the signature does not match");
  last_mac_ = mac;
  is_first_ = false;
  unsigned_count_ = 0;
  unsigned_octets_.clear();
  return {};
}

Result<void> StreamVerifier::finish() const {
  if (key_ && (is_first_ || unsigned_count_ != 0)) return Error("the last message is not signed");
  return {};
}

}  // namespace mutua::zone_transfer
