#include "resolver/validation/zone_keys.h"

#include <algorithm>

#include "dnssec/dnskey.h"
#include "dnssec/rrsig.h"
#include "wire/rdata.h"

namespace mutua::resolver {
namespace {

using wire::ExtendedError;
using wire::RRType;

constexpr std::size_t kMostKeys = 16;
constexpr unsigned kMostFailures = 2;  // of one RRset

std::optional<ZoneKeys::Key> usable_key(BytesView dnskey, const TrustAnchors& anchors) {
  constexpr std::uint8_t kDnssecProtocol = 3;
  const auto key = wire::parse_key(dnskey);
  if (!key || key->protocol != kDnssecProtocol || (key->flags & dnssec::kZoneFlag) == 0 ||
      (key->flags & dnssec::kRevokedFlag) != 0)
    return std::nullopt;
  auto parsed = trust::PublicKey::create(key->algorithm, key->public_key);
  if (!parsed) return std::nullopt;
  return ZoneKeys::Key{to_bytes(dnskey), wire::key_tag(dnskey), *std::move(parsed),
                       anchors.names(dnskey)};
}

}  // namespace

struct ZoneKeys::Attempt {
  const SignedRRset& rrset;
  WallTime now;
  Effort& effort;
  unsigned failures = 0;
  Proof proof;
};

std::variant<Proof, Flaw> ZoneKeys::verify(const SignedRRset& rrset, WallTime now,
                                           Effort& effort) const {
  const auto flaw_of = [&](ExtendedError code, const std::string& text) {
    return Flaw{code, rrset.owner.to_text() + " " + to_text(rrset.rrset.type) + ": " + text};
  };
  if (!rrset.owner.is_at_or_below(zone_))
    return flaw_of(ExtendedError::dnssec_bogus, "outside the zone " + zone_.to_text());
  Flaw worst{ExtendedError::rrsigs_missing, "it is not signed"};
  Attempt attempt{rrset, now, effort, 0, {}};
  for (const Bytes& rdata : rrset.signatures) {
    auto flaw = try_signature(rdata, attempt);
    if (!flaw) return attempt.proof;
    // That another key is needed is worth more than what else is wrong: it can be looked for.
    if (worst.code != ExtendedError::dnskey_missing) worst = *std::move(flaw);
  }
  return flaw_of(worst.code, worst.text);
}

std::optional<Flaw> ZoneKeys::try_signature(BytesView rdata, Attempt& attempt) const {
  const auto rrsig = dnssec::parse_rrsig(rdata);
  const wire::Name& owner = attempt.rrset.owner;
  if (!rrsig || rrsig->covered != attempt.rrset.rrset.type)
    return Flaw{ExtendedError::dnssec_bogus, "its signature is malformed"};
  if (rrsig->signer != zone_)
    return Flaw{ExtendedError::dnssec_bogus, "it is signed by " + rrsig->signer.to_text()};
  if (rrsig->labels > dnssec::signed_labels(owner) || rrsig->labels < zone_.label_count())
    return Flaw{ExtendedError::dnssec_bogus, "its signature is of another name"};
  const WallTime expiration = dnssec::moment_of(rrsig->expiration, attempt.now);
  if (expiration < attempt.now)
    return Flaw{ExtendedError::signature_expired, "its signature has expired"};
  if (dnssec::moment_of(rrsig->inception, attempt.now) > attempt.now)
    return Flaw{ExtendedError::signature_not_yet_valid, "its signature is not valid yet"};
  bool has_key = false;
  Bytes covered;
  for (const Key& key : keys_) {
    if (key.tag != rrsig->key_tag ||
        static_cast<std::uint8_t>(key.key.algorithm()) != rrsig->algorithm)
      continue;
    has_key = true;
    if (attempt.failures == kMostFailures || attempt.effort.failures == 0)
      return Flaw{ExtendedError::dnssec_bogus, "too many of its signatures are wrong"};
    if (covered.empty()) covered = dnssec::signed_octets(*rrsig, owner, attempt.rrset.rrset);
    if (key.key.verify(covered, rrsig->signature)) {
      const auto left = static_cast<std::uint64_t>((expiration - attempt.now).count());
      attempt.proof = {static_cast<std::uint32_t>(std::min<std::uint64_t>(
                           {attempt.rrset.rrset.ttl, rrsig->original_ttl, left})),
                       rrsig->labels, expiration};
      return std::nullopt;
    }
    ++attempt.failures;
    --attempt.effort.failures;
  }
  if (has_key) return Flaw{ExtendedError::dnssec_bogus, "its signature is wrong"};
  return Flaw{
      ExtendedError::dnskey_missing,
      "it is signed by key " + std::to_string(rrsig->key_tag) + ", which is not the zone's"};
}

std::variant<ProvenKeys, Flaw> prove_keys(const wire::Message& response,
                                          const TrustAnchors& anchors, WallTime now) {
  const auto rrsets = signed_rrsets(response.answer);
  const SignedRRset* dnskeys = find(rrsets, anchors.zone(), RRType::dnskey);
  if (dnskeys) return prove_keys(*dnskeys, anchors, now);
  return Flaw{ExtendedError::dnskey_missing,
              anchors.zone().to_text() + " has no DNSKEY: it is not signed"};
}

std::variant<ProvenKeys, Flaw> prove_keys(const SignedRRset& dnskeys, const TrustAnchors& anchors,
                                          WallTime now) {
  const wire::Name& zone = anchors.zone();
  std::vector<ZoneKeys::Key> keys, anchored;
  for (const Bytes& dnskey : dnskeys.rrset.rdatas) {
    if (keys.size() == kMostKeys) break;
    auto key = usable_key(dnskey, anchors);
    if (!key) continue;
    if (key->is_anchored) anchored.push_back(*key);
    keys.push_back(*std::move(key));
  }
  if (anchored.empty())
    return Flaw{ExtendedError::dnskey_missing,
                zone.to_text() + " DNSKEY: none of its keys is a trust anchor"};
  Effort effort;
  auto verified = ZoneKeys(zone, std::move(anchored)).verify(dnskeys, now, effort);
  if (auto* flaw = std::get_if<Flaw>(&verified)) return std::move(*flaw);
  const Proof& proof = std::get<Proof>(verified);
  if (proof.labels != zone.label_count())
    return Flaw{ExtendedError::dnssec_bogus, zone.to_text() + " DNSKEY: from a wildcard"};
  return ProvenKeys{ZoneKeys(zone, std::move(keys)), proof.ttl};
}

}  // namespace mutua::resolver
