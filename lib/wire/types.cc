#include "wire/types.h"

#include <array>
#include <charconv>
#include <utility>

namespace mutua::wire {
namespace {

constexpr std::array<std::pair<RRType, std::string_view>, 32> kTypeNames{{
    {RRType::a, "A"},           {RRType::ns, "NS"},
    {RRType::cname, "CNAME"},   {RRType::soa, "SOA"},
    {RRType::ptr, "PTR"},       {RRType::mx, "MX"},
    {RRType::txt, "TXT"},       {RRType::sig, "SIG"},
    {RRType::key, "KEY"},       {RRType::aaaa, "AAAA"},
    {RRType::srv, "SRV"},       {RRType::naptr, "NAPTR"},
    {RRType::dname, "DNAME"},   {RRType::opt, "OPT"},
    {RRType::ds, "DS"},         {RRType::rrsig, "RRSIG"},
    {RRType::nsec, "NSEC"},     {RRType::dnskey, "DNSKEY"},
    {RRType::nsec3, "NSEC3"},   {RRType::nsec3param, "NSEC3PARAM"},
    {RRType::cds, "CDS"},       {RRType::cdnskey, "CDNSKEY"},
    {RRType::zonemd, "ZONEMD"}, {RRType::svcb, "SVCB"},
    {RRType::https, "HTTPS"},   {RRType::tkey, "TKEY"},
    {RRType::tsig, "TSIG"},     {RRType::ixfr, "IXFR"},
    {RRType::axfr, "AXFR"},     {RRType::any, "ANY"},
    {RRType::caa, "CAA"},       {RRType::maila, "MAILA"},
}};

constexpr std::array<std::pair<Rcode, std::string_view>, 14> kRcodeNames{{
    {Rcode::noerror, "NOERROR"},
    {Rcode::formerr, "FORMERR"},
    {Rcode::servfail, "SERVFAIL"},
    {Rcode::nxdomain, "NXDOMAIN"},
    {Rcode::notimp, "NOTIMP"},
    {Rcode::refused, "REFUSED"},
    {Rcode::yxdomain, "YXDOMAIN"},
    {Rcode::yxrrset, "YXRRSET"},
    {Rcode::nxrrset, "NXRRSET"},
    {Rcode::notauth, "NOTAUTH"},
    {Rcode::notzone, "NOTZONE"},
    {Rcode::badvers, "BADVERS"},
    {Rcode::badkey, "BADKEY"},
    {Rcode::badtime, "BADTIME"},
}};

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; };
    if (upper(a[i]) != upper(b[i])) return false;
  }
  return true;
}

}  // namespace

std::string to_text(RRType type) {
  for (const auto& [value, name] : kTypeNames) {
    if (value == type) return std::string(name);
  }
  return "TYPE" + std::to_string(static_cast<unsigned>(type));
}

std::optional<RRType> rrtype_from_text(std::string_view text) {
  for (const auto& [value, name] : kTypeNames) {
    if (equal_ignoring_case(name, text)) return value;
  }
  if (text.size() > 4 && equal_ignoring_case(text.substr(0, 4), "TYPE")) {
    std::uint16_t value = 0;
    const char* end = text.data() + text.size();
    const auto [stop, failure] = std::from_chars(text.data() + 4, end, value);
    if (failure == std::errc{} && stop == end) return static_cast<RRType>(value);
  }
  return std::nullopt;
}

std::string to_text(Rcode rcode) {
  for (const auto& [value, name] : kRcodeNames) {
    if (value == rcode) return std::string(name);
  }
  return "RCODE" + std::to_string(static_cast<unsigned>(rcode));
}

}  // namespace mutua::wire
