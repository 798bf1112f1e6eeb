#pragma once

#include <cstdint>

#include "trust/key.h"

namespace mutua::authority {

// What a key of a zone may ever be used for. It is for life: the flags of its DNSKEY follow from it.
enum class KeyRole : std::uint8_t {
  csk,  // both in one (RFC 6781 section 3.1)
  ksk,  // signs the keys, and is what the zone above knows
  zsk,  // signs everything else
};

// What a zone needs a key for. One key at a time holds each of these.
enum class KeyDuty : std::uint8_t {
  parent,  // to be the one that the zone above knows: the way from a DS to the other keys
  data,    // to sign whatever is not about keys
};

constexpr bool may_do(KeyRole role, KeyDuty duty) {
  return role == KeyRole::csk || (role == KeyRole::ksk) == (duty == KeyDuty::parent);
}

// Whether one key does both duties, or each has its own.
enum class KeyLayout : std::uint8_t { csk, split };

constexpr KeyRole role_for(KeyLayout layout, KeyDuty duty) {
  if (layout == KeyLayout::csk) return KeyRole::csk;
  return duty == KeyDuty::parent ? KeyRole::ksk : KeyRole::zsk;
}

constexpr const char* to_text(KeyRole role) {
  if (role == KeyRole::csk) return "csk";
  return role == KeyRole::ksk ? "ksk" : "zsk";
}

// The keys that a zone shall have.
struct KeyPlan {
  trust::Algorithm algorithm = trust::Algorithm::ed25519;  // of the first ones
  KeyLayout layout = KeyLayout::csk;
};

}  // namespace mutua::authority
