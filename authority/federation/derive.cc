#include "authority/federation/derive.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "authority/federation/serve.h"
#include "wire/rdata.h"

namespace mutua::authority {
namespace {

using wire::RRType;

constexpr std::uint16_t kSvcParamPort = 3;  // RFC 9460 section 7.2

// What should stand at the derived places of one service; empty RRsets mean nothing.
class Lists {
 public:
  Lists(const ZoneVersion& version, const wire::Name& service)
      : version_(version), service_(service) {}

  void own(const wire::Name& owner, RRType type) {
    RRset& rrset = wanted_[{owner, type}];
    rrset.type = type;
    rrset.ttl = kServedTtl;
  }
  void own_service() {
    for (const RRType type : {RRType::a, RRType::aaaa, RRType::https}) own(service_, type);
  }

  void serve(const Commitment& commitment, const ServiceTerms& terms) {
    // Priority and weight are not the peer's to choose: the list is fair, the client measures.
    const wire::Srv srv{0, 0, commitment.srv->port, commitment.srv->target};
    add(list_name(service_, commitment.port), RRType::srv, wire::make_srv(srv));
    if (srv.port == commitment.port.number) {
      add_addresses(srv.target, RRType::a);
      add_addresses(srv.target, RRType::aaaa);
    }
    if (commitment.port == ServicePort{terms.tls_port.value_or(0), "tcp"}) {
      add(service_, RRType::https, https_rdata(srv));
    }
  }

  void append_differences(std::vector<RRsetChange>& out) {
    for (auto& [place, rrset] : wanted_) {
      normalize(rrset);
      auto present = version_.find(place.first, place.second);
      if (rrset.rdatas.empty() ? !present : present == rrset) continue;
      RRsetChange change{place.first, place.second, std::move(present), std::nullopt};
      if (!rrset.rdatas.empty()) change.after = std::move(rrset);
      out.push_back(std::move(change));
    }
  }

 private:
  void add(const wire::Name& owner, RRType type, Bytes rdata) {
    own(owner, type);
    wanted_[{owner, type}].rdatas.push_back(std::move(rdata));
  }
  void add_addresses(const wire::Name& host, RRType type) {
    const auto addresses = version_.find(host, type);
    if (!addresses) return;
    for (const Bytes& rdata : addresses->rdatas) add(service_, type, rdata);
  }
  static Bytes https_rdata(const wire::Srv& srv) {  // RFC 9460 section 2.2
    Bytes rdata;
    append_u16(rdata, 1);
    append(rdata, srv.target.wire());
    append_u16(rdata, kSvcParamPort);
    append_u16(rdata, 2);
    append_u16(rdata, srv.port);
    return rdata;
  }

  const ZoneVersion& version_;
  const wire::Name& service_;
  std::map<std::pair<wire::Name, RRType>, RRset> wanted_;
};

}  // namespace

bool is_derived(const ZoneVersion& version, const wire::Name& owner, RRType type) {
  if (type == RRType::srv) {
    const FederationName name = classify(owner, version.apex());
    if (name.kind != FederationName::Kind::list) return false;
    const auto terms = read_service(version, name.service);
    return terms && terms->offers(name.port);
  }
  if (type != RRType::a && type != RRType::aaaa && type != RRType::https) return false;
  return read_service(version, owner).has_value();
}

std::vector<RRsetChange> derive(const ZoneVersion& version, const FederationIndex& index,
                                const FederationPolicy& policy,
                                const std::vector<FederationIndex::Touched>& touched) {
  std::vector<RRsetChange> changes;
  for (const FederationIndex::Touched& one : touched) {
    const Assessment assessment = assess(version, index, policy, one.service);
    Lists lists(version, one.service);
    for (const ServicePort& port : one.former_ports) {
      lists.own(list_name(one.service, port), RRType::srv);
    }
    if (one.was_service || assessment.terms) lists.own_service();
    if (assessment.terms) {
      for (const ServicePort& port : assessment.terms->ports) {
        lists.own(list_name(one.service, port), RRType::srv);
      }
      for (const Commitment& commitment : assessment.commitments) {
        if (commitment.is_served()) lists.serve(commitment, *assessment.terms);
      }
    }
    lists.append_differences(changes);
  }
  return changes;
}

ChangeSet combine(ChangeSet first, std::vector<RRsetChange> then) {
  std::map<std::pair<wire::Name, RRType>, std::size_t> places;
  for (std::size_t i = 0; i < first.changes.size(); ++i)
    places[{first.changes[i].owner, first.changes[i].type}] = i;
  for (RRsetChange& second : then) {
    const auto same = places.find({second.owner, second.type});
    if (same == places.end())
      first.changes.push_back(std::move(second));
    else
      first.changes[same->second].after = std::move(second.after);
  }
  std::erase_if(first.changes,
                [](const RRsetChange& change) { return change.before == change.after; });
  return first;
}

}  // namespace mutua::authority
