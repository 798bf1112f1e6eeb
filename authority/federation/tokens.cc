#include "authority/federation/tokens.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "trust/peer_id.h"
#include "wire/rdata.h"

namespace mutua::authority {
namespace {

using wire::RRType;

// Calls `use` for each non-empty part of `text` between separators.
template <typename Use>
void split(std::string_view text, char separator, Use use) {
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(separator));
    if (!part.empty()) use(part);
    text.remove_prefix(std::min(text.size(), part.size() + 1));
  }
}

std::string lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

Tokens read_tokens(const Bytes& rdata) {
  Tokens tokens;
  const auto strings = wire::parse_txt(rdata);
  if (!strings.ok()) return tokens;
  for (const std::string& text : *strings) {
    split(text, ' ', [&](std::string_view token) {
      const std::size_t equals = token.find('=');
      if (equals == std::string_view::npos) return;
      tokens.emplace(lowered(token.substr(0, equals)), token.substr(equals + 1));
    });
  }
  return tokens;
}

std::string_view value_of(const Tokens& tokens, std::string_view key) {
  const auto found = tokens.find(key);
  return found == tokens.end() ? std::string_view() : std::string_view(found->second);
}

}  // namespace

std::optional<Tokens> find_tokens(const std::optional<RRset>& txt) {
  if (!txt) return std::nullopt;
  for (const Bytes& rdata : txt->rdatas) {
    Tokens tokens = read_tokens(rdata);
    if (value_of(tokens, "v") == "1") return tokens;
  }
  return std::nullopt;
}

bool ServiceTerms::offers(const ServicePort& port) const {
  return std::find(ports.begin(), ports.end(), port) != ports.end();
}

bool ServiceTerms::is_owner(std::string_view peer) const {
  return std::find(owners.begin(), owners.end(), peer) != owners.end();
}

std::optional<ServiceTerms> read_service(const ZoneVersion& version, const wire::Name& name) {
  const auto keys = version.find(name, RRType::key);
  const auto tokens = find_tokens(version.find(name, RRType::txt));
  if (!keys || !tokens) return std::nullopt;
  const auto manifest = trust::Digest::parse(value_of(*tokens, "manifest"));
  if (!manifest.ok()) return std::nullopt;

  ServiceTerms terms;
  terms.manifest = *manifest;
  for (const Bytes& key : keys->rdatas) terms.owners.push_back(trust::peer_id(key));
  if (const auto previous = trust::Digest::parse(value_of(*tokens, "previous")); previous.ok()) {
    terms.previous = *previous;
  }
  split(value_of(*tokens, "base"), ',',
        [&](std::string_view label) { terms.bases.push_back(lowered(label)); });
  split(value_of(*tokens, "ports"), ',', [&](std::string_view text) {
    auto port = ServicePort::parse(text);
    if (port && !terms.offers(*port)) terms.ports.push_back(*std::move(port));
  });
  if (value_of(*tokens, "admission") == "open") terms.admission = Admission::open;
  if (const auto tls = ServicePort::parse(std::string(value_of(*tokens, "tls")) + "/tcp")) {
    terms.tls_port = tls->number;
  }
  return terms;
}

}  // namespace mutua::authority
