#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "trust/key.h"
#include "trust/mac.h"
#include "trust/peer_id.h"
#include "wire/edns.h"
#include "wire/message.h"
#include "wire/presentation.h"
#include "wire/rdata.h"
#include "wire/sig0.h"
#include "wire/tsig.h"

namespace mutua::test {

inline wire::Name name(std::string_view text) { return wire::Name::parse(text).value(); }

// A DNS UPDATE in the making, with the words of nsupdate.
class UpdateBuilder {
 public:
  explicit UpdateBuilder(std::string_view zone) {
    static std::uint16_t next_id = 1;
    message_.header.id = next_id++;
    message_.header.opcode = wire::Opcode::update;
    message_.question.push_back({name(zone), wire::RRType::soa, wire::RRClass::in});
  }

  // "blog.fed.test. 60 IN TXT v=1"
  UpdateBuilder& add(const std::string& record) {
    message_.authority.push_back(wire::record_from_text(record, 60, wire::Name()).value());
    return *this;
  }
  UpdateBuilder& add_key(std::string_view owner, const trust::PublicKey& key) {
    message_.authority.push_back(
        {name(owner), wire::RRType::key, wire::RRClass::in, 60, trust::key_rdata(key)});
    return *this;
  }
  UpdateBuilder& remove_name(std::string_view owner) {
    return raw({name(owner), wire::RRType::any, wire::RRClass::any, 0, {}});
  }
  UpdateBuilder& remove_rrset(std::string_view owner, wire::RRType type) {
    return raw({name(owner), type, wire::RRClass::any, 0, {}});
  }
  UpdateBuilder& remove(const std::string& record) {
    auto parsed = wire::record_from_text(record, 60, wire::Name()).value();
    parsed.rclass = wire::RRClass::none;
    parsed.ttl = 0;
    return raw(std::move(parsed));
  }
  UpdateBuilder& raw(wire::Record record) {
    message_.authority.push_back(std::move(record));
    return *this;
  }
  UpdateBuilder& prerequisite(wire::Record record) {
    message_.answer.push_back(std::move(record));
    return *this;
  }
  UpdateBuilder& edns() {
    if (!message_.edns) message_.edns.emplace();
    return *this;
  }
  UpdateBuilder& lease(unsigned lease_seconds, std::optional<unsigned> key_lease_seconds) {
    edns();
    wire::UpdateLease lease{std::chrono::seconds(lease_seconds), std::nullopt};
    if (key_lease_seconds) lease.key_lease = std::chrono::seconds(*key_lease_seconds);
    message_.edns->options.push_back(wire::make_update_lease(lease));
    return *this;
  }

  wire::Message& message() { return message_; }
  Bytes unsigned_bytes() const { return message_.to_wire(); }

 private:
  wire::Message message_;
};

// Signs as nsupdate does: valid from 300 s ago to 300 s ahead.
inline Bytes sign_sig0(Bytes message, const trust::PrivateKey& key, std::string_view signer,
                       WallTime now, std::int64_t inception_offset = -300,
                       std::int64_t expiration_offset = 300) {
  const std::int64_t seconds = now.time_since_epoch().count();
  wire::Sig0 fields;
  fields.algorithm = static_cast<std::uint8_t>(key.public_key().algorithm());
  fields.inception = static_cast<std::uint32_t>(seconds + inception_offset);
  fields.expiration = static_cast<std::uint32_t>(seconds + expiration_offset);
  fields.key_tag = wire::key_tag(trust::key_rdata(key.public_key()));
  fields.signer = name(signer);
  return wire::sign_sig0(std::move(message), fields,
                         [&](BytesView covered) { return key.sign(covered); });
}

inline Bytes sign_tsig(Bytes message, std::string_view key_name, BytesView secret, WallTime now) {
  wire::Tsig fields;
  fields.key_name = name(key_name);
  fields.algorithm = name("hmac-sha256");
  fields.time_signed = static_cast<std::uint64_t>(now.time_since_epoch().count());
  fields.original_id = load_u16(message.data());
  return wire::sign_tsig(std::move(message), fields, {}, [&](BytesView covered) {
    return trust::hmac("hmac-sha256", secret, covered).value();
  });
}

}  // namespace mutua::test
