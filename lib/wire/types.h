#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mutua::wire {

// The values of the IANA registries that this project names; any other value is as good.
enum class RRType : std::uint16_t {
  a = 1,
  ns = 2,
  cname = 5,
  soa = 6,
  ptr = 12,
  mx = 15,
  txt = 16,
  sig = 24,
  key = 25,
  aaaa = 28,
  srv = 33,
  naptr = 35,
  dname = 39,
  opt = 41,
  ds = 43,
  rrsig = 46,
  nsec = 47,
  dnskey = 48,
  nsec3 = 50,
  nsec3param = 51,
  cds = 59,
  cdnskey = 60,
  zonemd = 63,
  svcb = 64,
  https = 65,
  tkey = 249,
  tsig = 250,
  ixfr = 251,
  axfr = 252,
  mailb = 253,
  maila = 254,
  any = 255,
  caa = 257,
};
enum class RRClass : std::uint16_t { in = 1, ch = 3, none = 254, any = 255 };
enum class Opcode : std::uint8_t { query = 0, iquery = 1, status = 2, notify = 4, update = 5 };
enum class Rcode : std::uint16_t {
  noerror = 0,
  formerr = 1,
  servfail = 2,
  nxdomain = 3,
  notimp = 4,
  refused = 5,
  yxdomain = 6,
  yxrrset = 7,
  nxrrset = 8,
  notauth = 9,
  notzone = 10,
  badvers = 16,
  badsig = 16,
  badkey = 17,
  badtime = 18,
  badtrunc = 22,
  badcookie = 23,
};

// "SRV", "TYPE65280" (RFC 3597).
std::string to_text(RRType type);
std::optional<RRType> rrtype_from_text(std::string_view text);
// "NOERROR", "RCODE23".
std::string to_text(Rcode rcode);

// A type that only questions or transactions may carry, never a zone (RFC 6895 section 3.1:
// OPT, 128-255, and 0).
constexpr bool is_meta(RRType type) {
  const auto value = static_cast<std::uint16_t>(type);
  return value == 0 || value == 41 || (value >= 128 && value <= 255);
}

// A type that the signer of a zone makes (RFC 4034, 5155, 7344).
constexpr bool is_of_signer(RRType type) {
  switch (type) {
    case RRType::rrsig:
    case RRType::nsec:
    case RRType::nsec3:
    case RRType::nsec3param:
    case RRType::dnskey:
    case RRType::cds:
    case RRType::cdnskey:
      return true;
    default:
      return false;
  }
}

}  // namespace mutua::wire
