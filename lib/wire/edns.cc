#include "wire/edns.h"

namespace mutua::wire {

const EdnsOption* Edns::find(std::uint16_t code) const {
  for (const EdnsOption& option : options) {
    if (option.code == code) return &option;
  }
  return nullptr;
}

std::optional<UpdateLease> parse_update_lease(BytesView data) {
  if (data.size() != 4 && data.size() != 8) return std::nullopt;
  UpdateLease lease{std::chrono::seconds(load_u32(data.data())), std::nullopt};
  if (data.size() == 8) lease.key_lease = std::chrono::seconds(load_u32(data.data() + 4));
  return lease;
}

EdnsOption make_update_lease(const UpdateLease& lease) {
  EdnsOption option{edns_code::update_lease, {}};
  append_u32(option.data, static_cast<std::uint32_t>(lease.lease.count()));
  if (lease.key_lease)
    append_u32(option.data, static_cast<std::uint32_t>(lease.key_lease->count()));
  return option;
}

EdnsOption make_extended_error(ExtendedError code, const std::string& text) {
  EdnsOption option{edns_code::extended_error, {}};
  append_u16(option.data, static_cast<std::uint16_t>(code));
  append(option.data, as_bytes(text));
  return option;
}

std::optional<ExtendedErrorText> find_extended_error(const std::optional<Edns>& edns) {
  const EdnsOption* option = edns ? edns->find(edns_code::extended_error) : nullptr;
  if (!option || option->data.size() < 2) return std::nullopt;
  return ExtendedErrorText{load_u16(option->data.data()),
                           std::string(as_text(BytesView(option->data).subspan(2)))};
}

std::string to_text(ExtendedError error) {
  switch (error) {
    case ExtendedError::other:
      return "Other Error";
    case ExtendedError::stale_answer:
      return "Stale Answer";
    case ExtendedError::dnssec_bogus:
      return "DNSSEC Bogus";
    case ExtendedError::signature_expired:
      return "Signature Expired";
    case ExtendedError::signature_not_yet_valid:
      return "Signature Not Yet Valid";
    case ExtendedError::dnskey_missing:
      return "DNSKEY Missing";
    case ExtendedError::rrsigs_missing:
      return "RRSIGs Missing";
    case ExtendedError::nsec_missing:
      return "NSEC Missing";
    case ExtendedError::not_ready:
      return "Not Ready";
    case ExtendedError::prohibited:
      return "Prohibited";
    case ExtendedError::not_authoritative:
      return "Not Authoritative";
    case ExtendedError::not_supported:
      return "Not Supported";
    case ExtendedError::no_reachable_authority:
      return "No Reachable Authority";
    case ExtendedError::network_error:
      return "Network Error";
    case ExtendedError::invalid_data:
      return "Invalid Data";
  }
  return "EDE " + std::to_string(static_cast<unsigned>(error));
}

}  // namespace mutua::wire
