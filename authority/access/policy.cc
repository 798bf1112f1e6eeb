#include "authority/access/policy.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "authority/access/key_identity.h"
#include "authority/federation/derive.h"
#include "authority/federation/federation_names.h"
#include "authority/federation/tokens.h"
#include "trust/peer_id.h"

namespace mutua::authority {
namespace {

using Problem = std::optional<Refusal>;
using wire::RRClass;
using wire::RRType;
using Kind = FederationName::Kind;

Refusal prohibited(std::string text) {
  return {wire::Rcode::refused, wire::ExtendedError::prohibited, std::move(text)};
}

Problem check_zone_section(const wire::Message& message, const ZoneVersion& version) {
  if (message.question.size() != 1 || message.question[0].type != RRType::soa) {
    return Refusal{wire::Rcode::formerr, wire::ExtendedError::other,
                   "the zone section needs exactly one SOA"};
  }
  if (message.question[0].name != version.apex() || message.question[0].rclass != RRClass::in) {
    return Refusal{wire::Rcode::notauth, wire::ExtendedError::not_authoritative,
                   "not a zone of this authority: " + message.question[0].name.to_text()};
  }
  return std::nullopt;
}

bool is_deletion(const wire::Record& record) { return record.rclass != RRClass::in; }

// Made by the authority itself, now or later; never by an update.
bool belongs_to_authority(RRType type) {
  return wire::is_of_signer(type) || type == RRType::zonemd;
}

// What would take names below out of the zone's hands.
bool delegates(RRType type) {
  return type == RRType::ns || type == RRType::ds || type == RRType::dname;
}

Problem check_type(const wire::Record& record, const ZoneVersion& version) {
  if (belongs_to_authority(record.type)) {
    return prohibited(to_text(record.type) + " records are made by the authority");
  }
  if (is_derived(version, record.owner, record.type)) {
    return prohibited(record.owner.to_text() + " " + to_text(record.type) +
                      " is derived from the commitments");
  }
  return std::nullopt;
}

Problem permit_operator(const wire::Message& message, const ZoneVersion& version) {
  for (const wire::Record& record : message.authority) {
    if (auto problem = check_type(record, version)) return problem;
  }
  return std::nullopt;
}

// One record of an owner's plain update.
Problem permit_owner_record(const wire::Record& record, const KeyCaller& caller,
                            const ZoneVersion& version) {
  if (record.owner == caller.signer) {
    if (delegates(record.type)) return prohibited("no delegation at a claimed name");
    return check_type(record, version);
  }
  const FederationName name = classify(record.owner, version.apex());
  const bool below_own = name.kind != Kind::other && name.service == caller.signer;
  if (below_own && (name.kind == Kind::admission || name.kind == Kind::denial)) {
    if (!trust::is_peer_id(name.label))
      return prohibited(record.owner.to_text() + " names no peer");
    if (is_deletion(record) || record.type == RRType::txt) return std::nullopt;
    return prohibited("only TXT at " + record.owner.to_text());
  }
  if (below_own && (name.kind == Kind::commitment || name.kind == Kind::list)) {
    if (!is_deletion(record)) return prohibited("an owner may delete a commitment, never add one");
    return check_type(record, version);
  }
  return prohibited(caller.signer.to_text() + " may not write " + record.owner.to_text());
}

// Names that nobody gets by asking first. `name` is below the apex.
Problem check_claimable(const wire::Name& name, const ZoneVersion& version) {
  const wire::Name lowered = name.lowered();
  const unsigned below = lowered.label_count() - version.apex().label_count();
  if (below == 0) return prohibited("the apex is the operator's");
  for (unsigned i = 0; i < below; ++i) {
    const std::string_view label = lowered.label(i);
    if (label.front() == '_' || label == "*") {
      return prohibited(name.to_text() + " is reserved: a label begins with _ or is *");
    }
  }
  const std::string_view top = lowered.label(below - 1);
  if (top == "lookaside") {
    return Refusal{wire::Rcode::refused, wire::ExtendedError::not_supported,
                   "a claim below lookaside needs a proof in real DNS, which this authority does "
                   "not check"};
  }
  if (top == "peers") return prohibited("only peers live below peers, by SRP");
  // Below somebody's name, or below a delegation, a stranger would speak in another's name.
  for (unsigned labels = lowered.label_count() - 1; labels > version.apex().label_count();
       --labels) {
    const ZoneNode* above = version.node(lowered.ancestor(labels));
    if (!above) continue;
    if (above->ready(RRType::key) || above->ready(RRType::ns) || above->ready(RRType::dname)) {
      return prohibited(lowered.ancestor(labels).to_text() + " belongs to somebody else");
    }
  }
  return std::nullopt;
}

Problem check_first_claim(const KeyCaller& caller, const ZoneVersion& version) {
  if (auto problem = check_claimable(caller.signer, version)) return problem;
  const ZoneNode* node = version.node(caller.signer);
  if (!node || !node->has_records()) return std::nullopt;
  return prohibited(caller.signer.to_text() +
                    (node->ready(RRType::key) ? " belongs to another key" : " is taken"));
}

Problem permit_owner(const wire::Message& message, const KeyCaller& caller,
                     const ZoneVersion& version) {
  if (classify(caller.signer, version.apex()).kind == Kind::peer) {
    return prohibited("peers register by SRP (an update with an Update Lease)");
  }
  if (!caller.in_zone) {
    if (auto problem = check_first_claim(caller, version)) return problem;
  }
  for (const wire::Record& record : message.authority) {
    if (auto problem = permit_owner_record(record, caller, version)) return problem;
  }
  return std::nullopt;
}

Problem permit_srp_host(const SrpRegistration& srp, const ZoneVersion& version) {
  const FederationName name = classify(srp.host, version.apex());
  if (name.kind == Kind::peer) {
    if (name.label == trust::peer_id(srp.key_rdata)) return std::nullopt;
    return prohibited(srp.host.to_text() + " is not made from this key");
  }
  return check_claimable(srp.host, version);
}

Problem permit_srp_service(const SrpService& service, const SrpRegistration& srp,
                           const ZoneVersion& version) {
  const wire::Name& instance = service.instance;
  if (!instance.is_at_or_below(version.apex()) || instance.label_count() < 3) {
    return prohibited(instance.to_text() + " is outside the zone");
  }
  const wire::Name list = instance.parent();
  const std::string label(instance.lowered().label(0));
  const bool is_peer = classify(srp.host, version.apex()).kind == Kind::peer;
  const bool is_own_label = is_peer && label == trust::peer_id(srp.key_rdata);
  if (list == prefixed("_mutua._tcp", version.apex())) {
    if (is_own_label) return std::nullopt;
    return prohibited(instance.to_text() + " is not made from this key");
  }
  const FederationName name = classify(instance, version.apex());
  if (name.kind == Kind::commitment) {
    if (!is_own_label)
      return prohibited(instance.to_text() + " is not made from the key of a peer");
    // A commitment may be withdrawn after its service is gone.
    if (service.is_removed() || srp.requested.lease.count() == 0) return std::nullopt;
    if (read_service(version, name.service)) return std::nullopt;
    return prohibited("no service stands at " + name.service.to_text());
  }
  // Any other DNS-SD service lies directly below the apex: _ipp._tcp.<zone>.
  const bool is_service_type =
      list.label_count() == version.apex().label_count() + 2 && list.label(0).front() == '_' &&
      (list.lowered().label(1) == "_tcp" || list.lowered().label(1) == "_udp");
  if (is_service_type) return std::nullopt;
  return prohibited("no service may be registered at " + list.to_text());
}

std::variant<SrpRegistration, Refusal> permit_srp(const wire::Message& message,
                                                  const KeyCaller& caller,
                                                  const ZoneVersion& version) {
  auto read = read_srp(message, caller.signer);
  const auto* srp = std::get_if<SrpRegistration>(&read);
  if (!srp) return read;
  if (!is_same_key(srp->key_rdata, caller.key_rdata)) {
    return prohibited("the host description holds another key than the one that signed");
  }
  if (auto problem = permit_srp_host(*srp, version)) return *std::move(problem);
  for (const SrpService& service : srp->services) {
    if (auto problem = permit_srp_service(service, *srp, version)) return *std::move(problem);
  }
  return read;
}

}  // namespace

std::variant<PermittedUpdate, Refusal> permit(const AuthenticatedRequest& request,
                                              const ZoneVersion& version) {
  const wire::Message& message = request.message();
  if (auto problem = check_zone_section(message, version)) return *std::move(problem);
  const auto* caller = std::get_if<KeyCaller>(&request.caller());
  if (caller && asks_to_be_srp(message)) {
    auto srp = permit_srp(message, *caller, version);
    if (auto* refusal = std::get_if<Refusal>(&srp)) return std::move(*refusal);
    return PermittedUpdate(request, std::get<SrpRegistration>(std::move(srp)));
  }
  auto problem =
      caller ? permit_owner(message, *caller, version) : permit_operator(message, version);
  if (problem) return *std::move(problem);
  return PermittedUpdate(request, std::nullopt);
}

}  // namespace mutua::authority
