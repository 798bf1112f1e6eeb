#include "authority/federation/serve.h"

#include <algorithm>
#include <set>
#include <utility>

#include "trust/peer_id.h"

namespace mutua::authority {
namespace {

using wire::RRType;

// What keeps any commitment to the service from being served.
std::vector<std::string> problems_of_bases(const ZoneVersion& version,
                                           const FederationPolicy& policy,
                                           const ServiceTerms& terms) {
  std::vector<std::string> problems;
  if (policy.require_trusted_base && terms.bases.empty()) {
    problems.push_back("the service names no base, and the federation asks for a trusted one");
  }
  for (const std::string& base : terms.bases) {
    const auto tokens = find_tokens(version.find(base_name(base, version.apex()), RRType::txt));
    const auto status = tokens ? tokens->find("status") : Tokens::const_iterator{};
    const bool known = tokens && status != tokens->end();
    if (known && status->second == "trusted") continue;
    if (known && status->second == "revoked") {
      problems.push_back("the base " + base + " is revoked");
    } else if (policy.require_trusted_base) {
      problems.push_back("the base " + base + " is not trusted");
    }
  }
  return problems;
}

void check_manifest(const ZoneVersion& version, const wire::Name& owner, const ServiceTerms& terms,
                    Commitment& commitment) {
  const auto tokens = find_tokens(version.find(owner, RRType::txt));
  const auto found = tokens ? tokens->find("manifest") : Tokens::const_iterator{};
  if (!tokens || found == tokens->end()) {
    commitment.reasons.push_back("the commitment names no manifest");
    return;
  }
  const auto manifest = trust::Digest::parse(found->second);
  if (manifest.ok() && (*manifest == terms.manifest || *manifest == terms.previous)) return;
  commitment.reasons.push_back("the commitment's manifest is not the service's current one");
}

void check_verdicts(const ZoneVersion& version, const wire::Name& service,
                    const ServiceTerms& terms, Commitment& commitment) {
  const auto denial = version.find(verdict_name(service, "_deny", commitment.peer), RRType::txt);
  if (denial) {
    const auto tokens = find_tokens(denial);
    const auto reason = tokens ? tokens->find("reason") : Tokens::const_iterator{};
    const bool named = tokens && reason != tokens->end();
    commitment.reasons.push_back("the owner denies the peer" +
                                 (named ? ": " + reason->second : std::string()));
  }
  if (terms.admission == Admission::open || terms.is_owner(commitment.peer)) return;
  const auto admission =
      version.find(verdict_name(service, "_admit", commitment.peer), RRType::txt);
  if (!find_tokens(admission)) commitment.reasons.push_back("the owner has not admitted the peer");
}

// Everything about one commitment but the owner's hosting credit, which depends on the others.
Commitment judge(const ZoneVersion& version, const wire::Name& service, const ServiceTerms& terms,
                 const ServicePort& port, const std::string& peer) {
  Commitment commitment{port, peer, std::nullopt, {}};
  const wire::Name owner = prefixed(peer, list_name(service, port));
  const wire::Name host = peer_name(peer, version.apex());
  const auto srv = version.find(owner, RRType::srv);
  if (!srv) {
    commitment.reasons.push_back("the peer's commitment lapsed or was withdrawn");
    return commitment;
  }
  if (auto parsed = wire::parse_srv(srv->rdatas.front()); parsed.ok()) {
    commitment.srv = *std::move(parsed);
  }
  if (!commitment.srv || commitment.srv->target != host || commitment.srv->port == 0) {
    commitment.reasons.push_back("the commitment does not point at a port of the peer itself");
  }
  if (!version.find(host, RRType::a) && !version.find(host, RRType::aaaa)) {
    commitment.reasons.push_back("the peer has no address");
  }
  check_manifest(version, owner, terms, commitment);
  check_verdicts(version, service, terms, commitment);
  return commitment;
}

// How many replicas `owner_terms` keeps for services of others, counted up to `enough`. Credit is
// no part of what counts, so that owners' credits cannot depend on each other in a circle.
std::size_t hosted_for_others(const ZoneVersion& version, const FederationIndex& index,
                              const FederationPolicy& policy, const ServiceTerms& owner_terms,
                              std::size_t enough) {
  std::size_t hosted = 0;
  for (const std::string& peer : owner_terms.owners) {
    for (const wire::Name& service : index.services_with_commitment_of(peer)) {
      if (hosted >= enough) return hosted;
      const auto terms = read_service(version, service);
      if (!terms || terms->is_owner(peer)) continue;
      if (!problems_of_bases(version, policy, *terms).empty()) continue;
      const bool serves =
          std::any_of(terms->ports.begin(), terms->ports.end(), [&](const ServicePort& port) {
            return judge(version, service, *terms, port, peer).is_served();
          });
      if (serves) ++hosted;
    }
  }
  return hosted;
}

// Credit counts peers, not ports. Which peers are left out beyond it must not depend on time, so
// that every authority says the same: those whose names come last.
void apply_credit(const ZoneVersion& version, const FederationIndex& index,
                  const FederationPolicy& policy, Assessment& assessment) {
  const ServiceTerms& terms = *assessment.terms;
  std::set<std::string> peers;
  for (const Commitment& commitment : assessment.commitments) {
    if (commitment.is_served() && !terms.is_owner(commitment.peer)) peers.insert(commitment.peer);
  }
  if (peers.size() <= policy.hosting_grace) return;
  const std::size_t wanted = peers.size() - policy.hosting_grace;
  const std::size_t allowed =
      policy.hosting_grace + hosted_for_others(version, index, policy, terms, wanted);
  std::size_t counted = 0;
  for (const std::string& peer : peers) {
    if (counted++ < allowed) continue;
    for (Commitment& commitment : assessment.commitments) {
      if (commitment.peer != peer || !commitment.is_served()) continue;
      commitment.reasons.push_back("the owner hosts too little for others: " +
                                   std::to_string(allowed) + " replicas are served");
    }
  }
}

}  // namespace

std::vector<std::string> committed_peers(const ZoneVersion& version, const wire::Name& service,
                                         const ServicePort& port) {
  std::vector<std::string> peers;
  const wire::Name list = list_name(service, port);
  const auto pointers = version.find(list, RRType::ptr);
  if (!pointers) return peers;
  for (const Bytes& rdata : pointers->rdatas) {
    const auto target = wire::parse_name_rdata(rdata);
    if (!target.ok() || target->is_root() || target->parent() != list) continue;
    std::string peer(target->lowered().label(0));
    if (trust::is_peer_id(peer)) peers.push_back(std::move(peer));
  }
  return peers;
}

Assessment assess(const ZoneVersion& version, const FederationIndex& index,
                  const FederationPolicy& policy, const wire::Name& service) {
  Assessment assessment;
  assessment.terms = read_service(version, service);
  if (!assessment.terms) return assessment;
  const auto base_problems = problems_of_bases(version, policy, *assessment.terms);
  for (const ServicePort& port : assessment.terms->ports) {
    for (const std::string& peer : committed_peers(version, service, port)) {
      Commitment commitment = judge(version, service, *assessment.terms, port, peer);
      commitment.reasons.insert(commitment.reasons.end(), base_problems.begin(),
                                base_problems.end());
      assessment.commitments.push_back(std::move(commitment));
    }
  }
  apply_credit(version, index, policy, assessment);
  return assessment;
}

Explanation explain(const ZoneVersion& version, const FederationIndex& index,
                    const FederationPolicy& policy, const wire::Name& service,
                    const ServicePort& port, std::string_view peer) {
  const Assessment assessment = assess(version, index, policy, service);
  if (!assessment.terms) return {false, {"no service stands at " + service.to_text()}};
  if (!assessment.terms->offers(port)) {
    return {false, {"the service does not offer port " + port.to_text()}};
  }
  for (const Commitment& commitment : assessment.commitments) {
    if (commitment.port == port && commitment.peer == peer) {
      return {commitment.is_served(), commitment.reasons};
    }
  }
  return {false, {"the peer has made no commitment, or it lapsed"}};
}

}  // namespace mutua::authority
