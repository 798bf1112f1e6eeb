#include "peer/directory/names.h"

#include <algorithm>

namespace mutua::peer {
namespace {

// `labels` from left to right, above `base`.
Result<wire::Name> below(const wire::Name& base, std::initializer_list<std::string_view> labels) {
  wire::Name name = base;
  for (auto label = std::rbegin(labels); label != std::rend(labels); ++label) {
    name = TRY(name.child(*label));
  }
  return name;
}

}  // namespace

Result<wire::Name> ZoneNames::service(std::string_view hostname) const {
  const std::string canonical = TRY(canonical_hostname(hostname));
  const wire::Name name = TRY(wire::Name::parse(canonical));
  if (name.is_at_or_below(zone_)) return name;
  const wire::Name lookaside = TRY(zone_.child("lookaside"));
  return name.under(lookaside);
}

Result<wire::Name> ZoneNames::host(std::string_view peer) const {
  return below(zone_, {peer, "peers"});
}
Result<wire::Name> ZoneNames::exchange_type() const { return below(zone_, {"_mutua", "_tcp"}); }
Result<wire::Name> ZoneNames::exchange(std::string_view peer) const {
  return below(zone_, {peer, "_mutua", "_tcp"});
}
Result<wire::Name> ZoneNames::base(std::string_view label) const {
  return below(zone_, {label, "_kernels"});
}

Result<wire::Name> port_name(const wire::Name& service, std::uint16_t port,
                             std::string_view transport) {
  return below(service, {"_" + std::to_string(port), "_" + std::string(transport)});
}
Result<wire::Name> admission_name(const wire::Name& service, std::string_view peer) {
  return below(service, {peer, "_admit"});
}
Result<wire::Name> denial_name(const wire::Name& service, std::string_view peer) {
  return below(service, {peer, "_deny"});
}

Result<std::string> canonical_hostname(std::string_view hostname) {
  const auto bad = [&] { return Error("not a hostname: " + std::string(hostname)); };
  if (hostname.ends_with('.')) hostname.remove_suffix(1);
  std::string canonical(hostname);
  std::size_t label = 0;
  for (char& c : canonical) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    if (c == '.' ? label == 0 : !letter) return bad();
    label = c == '.' ? 0 : label + 1;
    if (label > 63) return bad();
  }
  if (canonical.empty() || canonical.size() > 253 || canonical.back() == '.') return bad();
  return canonical;
}

}  // namespace mutua::peer
