#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "authority/federation/federation_names.h"
#include "authority/zone/zone_version.h"
#include "trust/digest.h"

namespace mutua::authority {

// The `key=value` tokens of one TXT record, separated by spaces or by the boundaries of its
// character-strings. The first of a key counts.
using Tokens = std::map<std::string, std::string, std::less<>>;

// The tokens of the first record that says `v=1`; nothing where none does.
std::optional<Tokens> find_tokens(const std::optional<RRset>& txt);

enum class Admission { open, by_owner };  // `audited` and `granted` differ only in who decides

// What an owner says about a service: the KEY and TXT at its name.
struct ServiceTerms {
  std::vector<std::string> owners;  // the peer id of each KEY
  trust::Digest manifest;
  std::optional<trust::Digest> previous;  // `previous=`: good as well while a roll-over lasts
  std::vector<std::string> bases;         // labels of the trusted bases that the snapshot needs
  std::vector<ServicePort> ports;
  Admission admission = Admission::by_owner;
  std::optional<std::uint16_t> tls_port;

  bool offers(const ServicePort& port) const;
  bool is_owner(std::string_view peer) const;
};

// Nothing where no service stands at `name`: that takes a KEY, and a TXT with v=1 and a manifest.
std::optional<ServiceTerms> read_service(const ZoneVersion& version, const wire::Name& name);

}  // namespace mutua::authority
