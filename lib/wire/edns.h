#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace mutua::wire {

struct EdnsOption {
  std::uint16_t code = 0;
  Bytes data;
};

namespace edns_code {
constexpr std::uint16_t update_lease = 2;     // RFC 9664
constexpr std::uint16_t cookie = 10;          // RFC 7873
constexpr std::uint16_t padding = 12;         // RFC 7830
constexpr std::uint16_t extended_error = 15;  // RFC 8914
}  // namespace edns_code

enum class ExtendedError : std::uint16_t {  // RFC 8914 section 4
  other = 0,
  stale_answer = 3,
  dnssec_bogus = 6,
  signature_expired = 7,
  signature_not_yet_valid = 8,
  dnskey_missing = 9,
  rrsigs_missing = 10,
  nsec_missing = 12,
  not_ready = 14,
  prohibited = 18,
  not_authoritative = 20,
  not_supported = 21,
  no_reachable_authority = 22,
  network_error = 23,
  invalid_data = 24,
};

// "DNSSEC Bogus": its purpose in RFC 8914.
std::string to_text(ExtendedError error);

// EDNS(0), RFC 6891.
struct Edns {
  std::uint16_t udp_size = 1232;  // octets that the sender takes in one datagram
  std::uint8_t version = 0;
  bool dnssec_ok = false;
  std::vector<EdnsOption> options;

  const EdnsOption* find(std::uint16_t code) const;
};

// Update Lease: LEASE alone (4 octets) or LEASE and KEY-LEASE (8 octets). The answer goes back in
// the variant that came.
struct UpdateLease {
  std::chrono::seconds lease{0};
  std::optional<std::chrono::seconds> key_lease;
};
std::optional<UpdateLease> parse_update_lease(BytesView data);
EdnsOption make_update_lease(const UpdateLease& lease);

EdnsOption make_extended_error(ExtendedError code, const std::string& text);
struct ExtendedErrorText {
  std::uint16_t code = 0;
  std::string text;
};
std::optional<ExtendedErrorText> find_extended_error(const std::optional<Edns>& edns);

}  // namespace mutua::wire
