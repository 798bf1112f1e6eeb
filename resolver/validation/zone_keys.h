#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "resolver/validation/flaw.h"
#include "resolver/validation/sections.h"
#include "resolver/validation/trust_anchors.h"
#include "trust/key.h"
#include "wire/message.h"
#include "wire/name.h"

namespace mutua::resolver {

// What is left of the work that may be spent on one message. A signature that holds costs nothing
// of it, for there are no more of those than RRsets; each that fails does (KeyTrap, CVE-2023-50387:
// many keys of one tag, many signatures of one RRset).
struct Effort {
  unsigned failures = 4;
};

// What the signature that held says of an RRset.
struct Proof {
  std::uint32_t ttl = 0;  // seconds for which it may be kept (RFC 4035 section 5.3.3)
  unsigned labels = 0;    // fewer than signed_labels(owner): the RRset comes from a wildcard
  WallTime expiration{};
};

// The keys that sign a zone. A value; immutable, so thread-safe.
class ZoneKeys {
 public:
  struct Key {
    Bytes dnskey;  // RDATA
    std::uint16_t tag;
    trust::PublicKey key;
    bool is_anchored;  // named by a trust anchor itself
  };

  explicit ZoneKeys(wire::Name zone) : zone_(std::move(zone)) {}
  ZoneKeys(wire::Name zone, std::vector<Key> keys)
      : zone_(std::move(zone)), keys_(std::move(keys)) {}

  const wire::Name& zone() const { return zone_; }
  const std::vector<Key>& all() const { return keys_; }

  // RFC 4035 section 5.3: some signature of this zone over `rrset` holds at `now`. At most two
  // signatures are computed that do not hold. A flaw's code is dnskey_missing where a signature is
  // by a key that is not among these.
  std::variant<Proof, Flaw> verify(const SignedRRset& rrset, WallTime now, Effort& effort) const;

 private:
  struct Attempt;
  std::optional<Flaw> try_signature(BytesView rdata, Attempt& attempt) const;

  wire::Name zone_;
  std::vector<Key> keys_;
};

// PURE. What a zone's DNSKEY RRset proves: it is signed by a key that an anchor names, so
// that all its keys are the zone's (RFC 4035 section 5.2). Revoked keys, keys of other algorithms
// and those beyond the 16th are left out.
struct ProvenKeys {
  ZoneKeys keys;
  std::uint32_t ttl = 0;  // seconds
};
std::variant<ProvenKeys, Flaw> prove_keys(const SignedRRset& dnskeys, const TrustAnchors& anchors,
                                          WallTime now);
// The same for the answer to "<zone> DNSKEY".
std::variant<ProvenKeys, Flaw> prove_keys(const wire::Message& response,
                                          const TrustAnchors& anchors, WallTime now);

}  // namespace mutua::resolver
