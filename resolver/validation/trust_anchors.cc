#include "resolver/validation/trust_anchors.h"

#include <algorithm>

#include "trust/digest.h"
#include "trust/key.h"
#include "wire/presentation.h"
#include "wire/rdata.h"

namespace mutua::resolver {
namespace {

using dnssec::DigestType;

constexpr std::size_t kMostAnchors = 16;

std::string_view trimmed(std::string_view text) {
  text = text.substr(0, text.find(';'));
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

Result<void> check_ds(const dnssec::Ds& ds) {
  const auto type = static_cast<DigestType>(ds.digest_type);
  if (type != DigestType::sha256 && type != DigestType::sha384)
    return errorf("digest type %u is not supported (2 and 4 are)", ds.digest_type);
  const std::size_t size = type == DigestType::sha256 ? trust::Digest::kSize : trust::Sha384::kSize;
  if (ds.digest.size() != size) return Error("a digest of the wrong size");
  const auto algorithm = static_cast<trust::Algorithm>(ds.algorithm);
  if (algorithm != trust::Algorithm::ed25519 && algorithm != trust::Algorithm::ecdsa_p256_sha256)
    return errorf("algorithm %u is not supported (13 and 15 are)", ds.algorithm);
  return {};
}

}  // namespace

bool stands_for(const dnssec::Ds& anchor, const wire::Name& zone, BytesView dnskey_rdata) {
  return dnskey_rdata.size() > 4 && wire::key_tag(dnskey_rdata) == anchor.key_tag &&
         dnssec::ds_of(zone, dnskey_rdata, static_cast<DigestType>(anchor.digest_type)) == anchor;
}

Result<void> TrustAnchors::add(std::string_view text) {
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.empty()) TRY(add_line(line));
  }
  return {};
}

Result<void> TrustAnchors::add_line(std::string_view line) {
  const std::string what = "trust anchor \"" + std::string(line) + "\"";
  const auto record = wire::record_from_text(line, 0, wire::Name());
  if (!record) return record.error().in(what);
  if (record->owner != zone_) return Error(what + ": not of the zone " + zone_.to_text());
  dnssec::Ds anchor;
  if (record->type == wire::RRType::ds) {
    anchor = TRY(dnssec::parse_ds(record->rdata));
  } else if (record->type == wire::RRType::dnskey) {
    const auto key = TRY(wire::parse_key(record->rdata));
    if ((key.flags & dnssec::kZoneFlag) == 0) return Error(what + ": not a key of a zone");
    if (const auto usable = trust::PublicKey::create(key.algorithm, key.public_key); !usable)
      return usable.error().in(what);
    anchor = dnssec::ds_of(zone_, record->rdata, DigestType::sha256);
  } else {
    return Error(what + ": neither DS nor DNSKEY");
  }
  if (const auto good = check_ds(anchor); !good) return good.error().in(what);
  if (std::ranges::find(anchors_, anchor) != anchors_.end()) return {};
  if (anchors_.size() == kMostAnchors) return Error(what + ": more than 16 trust anchors");
  anchors_.push_back(std::move(anchor));
  return {};
}

bool TrustAnchors::names(BytesView dnskey_rdata) const {
  return std::ranges::any_of(
      anchors_, [&](const dnssec::Ds& one) { return stands_for(one, zone_, dnskey_rdata); });
}

}  // namespace mutua::resolver
