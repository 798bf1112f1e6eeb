#include "resolver/discovery/answers.h"

#include <algorithm>

#include "wire/rdata.h"

namespace mutua::resolver {
namespace {

using wire::Message;
using wire::Name;
using wire::Rcode;
using wire::Record;
using wire::RRType;

constexpr std::size_t kMostPorts = 64, kMostTargets = 64, kMostCandidates = 64;
constexpr std::size_t kMostAddressesOfTarget = 8;
constexpr int kLongestChain = 8;  // CNAMEs
constexpr std::uint32_t kLongestTtl = 3600, kLongestNegativeTtl = 60, kRelinquishedTtl = 30;

enum class Verdict { answer, no_name, relinquished };

Result<Verdict> verdict(const Message& response, const Name& name) {
  if (!response.header.response || response.question.size() != 1 ||
      response.question[0].name != name) {
    return errorf("ask %s: the response is to another question", name.to_text().c_str());
  }
  switch (response.header.rcode) {
    case Rcode::noerror:
      return Verdict::answer;
    case Rcode::nxdomain:
      return Verdict::no_name;
    case Rcode::refused:
    case Rcode::notauth:
      return Verdict::relinquished;
    default:
      return errorf("ask %s: the authority says %s", name.to_text().c_str(),
                    wire::to_text(response.header.rcode).c_str());
  }
}

std::chrono::seconds positive_ttl(std::uint32_t ttl) {
  return std::chrono::seconds(std::clamp<std::uint32_t>(ttl, 1, kLongestTtl));
}

// RFC 2308 section 5, shortened: a service that is published now should soon be found.
std::chrono::seconds negative_ttl(const Message& response, Verdict verdict) {
  std::uint32_t ttl = verdict == Verdict::relinquished ? kRelinquishedTtl : 1;
  for (const Record& record : response.authority) {
    if (record.type != RRType::soa) continue;
    const auto soa = wire::parse_soa(record.rdata);
    if (soa) ttl = std::min(record.ttl, soa->minimum);
  }
  return std::chrono::seconds(std::clamp<std::uint32_t>(ttl, 1, kLongestNegativeTtl));
}

// Follows the CNAMEs of the answer section from `name` on.
Name end_of_chain(const Message& response, Name name) {
  for (int step = 0; step < kLongestChain; ++step) {
    const auto alias = std::find_if(
        response.answer.begin(), response.answer.end(),
        [&](const Record& one) { return one.type == RRType::cname && one.owner == name; });
    if (alias == response.answer.end()) break;
    auto target = wire::parse_name_rdata(alias->rdata);
    if (!target) break;
    name = std::move(*target);
  }
  return name;
}

template <typename Visit>
void for_each_token(const std::string& text, Visit visit) {
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find(' ', at), text.size());
    if (end > at) visit(std::string_view(text).substr(at, end - at));
    at = end + 1;
  }
}

// The ports of one TXT record; nothing where it is not a service's record.
std::optional<std::vector<ServicePort>> ports_in_txt(BytesView rdata) {
  const auto strings = wire::parse_txt(rdata);
  if (!strings) return std::nullopt;
  bool version_1 = false, has_ports = false;
  std::vector<ServicePort> ports;
  for (const std::string& string : *strings) {
    for_each_token(string, [&](std::string_view token) {
      if (token == "v=1") version_1 = true;
      if (!token.starts_with("ports=")) return;
      has_ports = true;
      for (token.remove_prefix(6); !token.empty() && ports.size() < kMostPorts;) {
        const auto end = std::min(token.find(','), token.size());
        const auto port = parse_service_port(token.substr(0, end));
        if (port && std::find(ports.begin(), ports.end(), *port) == ports.end())
          ports.push_back(*port);
        token.remove_prefix(std::min(end + 1, token.size()));
      }
    });
  }
  if (!version_1 || !has_ports || ports.empty()) return std::nullopt;
  return ports;
}

bool is_address_of(const Record& record, const Name& host) {
  return record.owner == host && ((record.type == RRType::a && record.rdata.size() == 4) ||
                                  (record.type == RRType::aaaa && record.rdata.size() == 16));
}

void add_address(std::vector<Bytes>& addresses, const Bytes& address) {
  if (addresses.size() < kMostAddressesOfTarget &&
      std::find(addresses.begin(), addresses.end(), address) == addresses.end()) {
    addresses.push_back(address);
  }
}

}  // namespace

Result<Timed<Description>> read_description(const Message& response, const Name& name) {
  const Verdict said = TRY(verdict(response, name));
  Timed<Description> result{{false, name, {}}, negative_ttl(response, said)};
  if (said != Verdict::answer) return result;
  const Name canonical = end_of_chain(response, name);
  for (const Record& record : response.answer) {
    if (record.type != RRType::txt || record.owner != canonical) continue;
    if (auto ports = ports_in_txt(record.rdata)) {
      result.value = {true, canonical, std::move(*ports)};
      result.ttl = positive_ttl(record.ttl);
    }
  }
  return result;
}

Result<Timed<ServedTargets>> read_served_targets(const Message& response, const Name& name) {
  const Verdict said = TRY(verdict(response, name));
  Timed<ServedTargets> result{{}, negative_ttl(response, said)};
  if (said != Verdict::answer) return result;
  const Name canonical = end_of_chain(response, name);
  std::uint32_t ttl = kLongestTtl;
  for (const Record& record : response.answer) {
    if (record.type != RRType::srv || record.owner != canonical) continue;
    const auto srv = wire::parse_srv(record.rdata);
    if (!srv || srv->target.is_root() || srv->port == 0) continue;
    if (result.value.targets.size() == kMostTargets) break;
    result.value.targets.push_back({srv->target, srv->priority, srv->weight, srv->port});
    ttl = std::min(ttl, record.ttl);
  }
  if (result.value.targets.empty()) return result;
  result.ttl = positive_ttl(ttl);
  for (const ServedTarget& target : result.value.targets) {
    for (const auto* section : {&response.answer, &response.additional}) {
      for (const Record& record : *section) {
        if (is_address_of(record, target.host))
          add_address(result.value.addresses[target.host], record.rdata);
      }
    }
  }
  return result;
}

Result<std::vector<Bytes>> read_addresses(const Message& response, const Name& host) {
  std::vector<Bytes> addresses;
  if (TRY(verdict(response, host)) != Verdict::answer) return addresses;
  const Name canonical = end_of_chain(response, host);
  for (const Record& record : response.answer) {
    if (is_address_of(record, canonical)) add_address(addresses, record.rdata);
  }
  return addresses;
}

std::vector<Candidate> candidates_of(const ServedTargets& served,
                                     const std::function<bool(const SocketAddress&)>& acceptable) {
  std::vector<Candidate> candidates;
  for (const ServedTarget& target : served.targets) {
    const auto addresses = served.addresses.find(target.host);
    if (addresses == served.addresses.end()) continue;
    for (const Bytes& octets : addresses->second) {
      const auto address = SocketAddress::from_octets(octets, target.port);
      if (!address || !acceptable(*address) || candidates.size() == kMostCandidates) continue;
      candidates.push_back({*address, target.priority, target.weight, target.host.to_text()});
    }
  }
  return candidates;
}

}  // namespace mutua::resolver
