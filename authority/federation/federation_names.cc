#include "authority/federation/federation_names.h"

#include <charconv>

namespace mutua::authority {
namespace {

std::optional<std::uint16_t> parse_port_number(std::string_view text) {
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number == 0) return std::nullopt;
  if (text[0] == '0') return std::nullopt;  // one spelling only
  return number;
}

// The port that the labels `index` and `index + 1` of a lower-case name spell.
std::optional<ServicePort> port_at(const wire::Name& name, unsigned index) {
  if (index + 1 >= name.label_count()) return std::nullopt;
  const std::string_view number = name.label(index), protocol = name.label(index + 1);
  if (number.size() < 2 || number[0] != '_') return std::nullopt;
  if (protocol != "_tcp" && protocol != "_udp") return std::nullopt;
  const auto parsed = parse_port_number(number.substr(1));
  if (!parsed) return std::nullopt;
  return ServicePort{*parsed, std::string(protocol.substr(1))};
}

}  // namespace

std::optional<ServicePort> ServicePort::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto number = parse_port_number(text.substr(0, slash));
  const std::string_view protocol = text.substr(slash + 1);
  if (!number || (protocol != "tcp" && protocol != "udp")) return std::nullopt;
  return ServicePort{*number, std::string(protocol)};
}

std::string ServicePort::to_text() const { return std::to_string(number) + "/" + protocol; }

FederationName classify(const wire::Name& name, const wire::Name& apex) {
  using Kind = FederationName::Kind;
  FederationName out;
  const wire::Name lowered = name.lowered();
  const unsigned labels = lowered.label_count();
  if (!lowered.is_at_or_below(apex) || labels <= apex.label_count()) return out;
  const unsigned below = labels - apex.label_count();

  const auto found = [&](Kind kind, unsigned service_labels) {
    out.kind = kind;
    out.service = lowered.ancestor(service_labels);
    out.label = std::string(lowered.label(0));
    return out;
  };
  if (below == 2 && lowered.label(1) == "peers") return found(Kind::peer, labels - 1);
  if (below == 2 && lowered.label(1) == "_kernels") return found(Kind::base, labels - 1);
  // The shapes below stand under a service, and no service stands at the apex.
  if (below >= 3) {
    if (auto port = port_at(lowered, 0)) {
      out.port = *std::move(port);
      return found(Kind::list, labels - 2);
    }
    if (lowered.label(1) == "_admit") return found(Kind::admission, labels - 2);
    if (lowered.label(1) == "_deny") return found(Kind::denial, labels - 2);
  }
  if (below >= 4) {
    if (auto port = port_at(lowered, 1)) {
      out.port = *std::move(port);
      return found(Kind::commitment, labels - 3);
    }
  }
  return out;
}

wire::Name prefixed(std::string_view labels, const wire::Name& suffix) {
  auto front = wire::Name::parse(labels);
  if (!front.ok()) return wire::Name();
  // A name that would be too long exists nowhere: the root is never found at or below a zone.
  return front->under(suffix).value_or(wire::Name());
}

wire::Name list_name(const wire::Name& service, const ServicePort& port) {
  return prefixed("_" + std::to_string(port.number) + "._" + port.protocol, service);
}

wire::Name peer_name(std::string_view peer, const wire::Name& apex) {
  return prefixed(std::string(peer) + ".peers", apex);
}

wire::Name verdict_name(const wire::Name& service, std::string_view verdict,
                        std::string_view peer) {
  return prefixed(std::string(peer) + "." + std::string(verdict), service);
}

wire::Name base_name(std::string_view label, const wire::Name& apex) {
  return prefixed(std::string(label) + "._kernels", apex);
}

}  // namespace mutua::authority
