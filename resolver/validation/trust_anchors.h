#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "dnssec/dnskey.h"
#include "wire/name.h"

namespace mutua::resolver {

// The keys that a person has declared to be the zone's. A value.
class TrustAnchors {
 public:
  explicit TrustAnchors(wire::Name zone) : zone_(std::move(zone)) {}

  // Adds DS and DNSKEY records in presentation format, one a line; ";" begins a comment. Fails on
  // other records, other owners, algorithms but 13 and 15, digests but SHA-256 and SHA-384, and
  // where there would be more than 16 anchors.
  Result<void> add(std::string_view text);

  bool empty() const { return anchors_.empty(); }
  const wire::Name& zone() const { return zone_; }
  const std::vector<dnssec::Ds>& all() const { return anchors_; }

  bool names(BytesView dnskey_rdata) const;

 private:
  Result<void> add_line(std::string_view line);

  wire::Name zone_;
  std::vector<dnssec::Ds> anchors_;
};

// Whether `anchor` stands for this DNSKEY of `zone`.
bool stands_for(const dnssec::Ds& anchor, const wire::Name& zone, BytesView dnskey_rdata);

}  // namespace mutua::resolver
