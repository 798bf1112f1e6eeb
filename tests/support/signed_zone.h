#pragma once

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "dnssec/dnskey.h"
#include "dnssec/nsec.h"
#include "dnssec/rrsig.h"
#include "support/records_of.h"
#include "trust/key.h"
#include "wire/presentation.h"
#include "wire/rdata.h"
#include "zone_transfer/rrsets.h"

namespace mutua {

// Signs small zones without cuts, for tests of those who verify.
class SignedZone {
 public:
  explicit SignedZone(const std::string& apex) : apex_(wire::Name::parse(apex).value()) {}

  std::string trust_anchor() const {
    const auto ds = dnssec::ds_of(apex_, dnskey_, dnssec::DigestType::sha256);
    return apex_.to_text() + " IN DS " + wire::rdata_to_text(wire::RRType::ds, dnssec::make_ds(ds));
  }

  // The records of `text` with the key, a chain of NSECs and signatures that end at `expiration`.
  std::vector<wire::Record> sign(const std::string& text, std::uint32_t expiration) const {
    std::vector<wire::Record> records = records_of(text);
    records.push_back({apex_, wire::RRType::dnskey, wire::RRClass::in, 60, dnskey_});
    std::map<wire::Name, std::set<wire::RRType>> names;
    for (const wire::Record& one : records) names[one.owner].insert(one.type);
    for (auto at = names.begin(); at != names.end(); ++at) {
      at->second.insert({wire::RRType::nsec, wire::RRType::rrsig});
      const auto next = std::next(at) == names.end() ? names.begin() : std::next(at);
      records.push_back({at->first, wire::RRType::nsec, wire::RRClass::in, 60,
                         dnssec::make_nsec(at->second, next->first)});
    }
    for (const wire::OwnedRRset& one : zone_transfer::rrsets_of(records))
      records.push_back(signature(one, expiration));
    return records;
  }

 private:
  wire::Record signature(const wire::OwnedRRset& covered, std::uint32_t expiration) const {
    const auto& [owner, rrset] = covered;
    dnssec::Rrsig rrsig{rrset.type,
                        15,
                        dnssec::signed_labels(owner),
                        rrset.ttl,
                        expiration,
                        1'700'000'000,
                        wire::key_tag(dnskey_),
                        apex_,
                        {}};
    rrsig.signature = key_.sign(dnssec::signed_octets(rrsig, owner, rrset));
    return {owner, wire::RRType::rrsig, wire::RRClass::in, rrset.ttl, dnssec::make_rrsig(rrsig)};
  }

  const wire::Name apex_;
  const trust::PrivateKey key_ = trust::PrivateKey::generate(trust::Algorithm::ed25519).value();
  const Bytes dnskey_ = wire::make_key({257, 3, 15, to_bytes(key_.public_key().raw())});
};

}  // namespace mutua
