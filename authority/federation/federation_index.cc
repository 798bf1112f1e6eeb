#include "authority/federation/federation_index.h"

#include <optional>
#include <utility>

#include "authority/federation/serve.h"
#include "authority/federation/tokens.h"

namespace mutua::authority {
namespace {

using wire::RRType;

template <typename Reverse>
void unlink(Reverse& reverse, const std::string& key, const wire::Name& service) {
  const auto found = reverse.find(key);
  if (found == reverse.end()) return;
  found->second.erase(service);
  if (found->second.empty()) reverse.erase(found);
}

template <typename Reverse>
const std::set<wire::Name>& names_of(const Reverse& reverse, std::string_view key) {
  static const std::set<wire::Name> none;
  const auto found = reverse.find(key);
  return found == reverse.end() ? none : found->second;
}

}  // namespace

FederationIndex::FederationIndex(const ZoneVersion& version) {
  version.for_each([&](const wire::Name& owner, const RRsetView& rrset) {
    if (rrset.type() == RRType::txt) refresh(version, owner);
  });
}

std::vector<wire::Name> FederationIndex::all_services() const {
  std::vector<wire::Name> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

const std::set<wire::Name>& FederationIndex::services_with_commitment_of(
    std::string_view peer) const {
  return names_of(by_peer_, peer);
}

FederationIndex::Entry FederationIndex::read_entry(const ZoneVersion& version,
                                                   const wire::Name& service,
                                                   bool& is_service) const {
  Entry entry;
  const auto terms = read_service(version, service);
  is_service = terms.has_value();
  if (!terms) return entry;
  entry.ports = terms->ports;
  entry.bases = terms->bases;
  entry.owners = terms->owners;
  for (const ServicePort& port : terms->ports) {
    for (std::string& peer : committed_peers(version, service, port)) {
      entry.peers.insert(std::move(peer));
    }
  }
  return entry;
}

void FederationIndex::remove(const wire::Name& service) {
  const auto found = entries_.find(service);
  if (found == entries_.end()) return;
  for (const std::string& peer : found->second.peers) unlink(by_peer_, peer, service);
  for (const std::string& base : found->second.bases) unlink(by_base_, base, service);
  for (const std::string& owner : found->second.owners) unlink(by_owner_, owner, service);
  entries_.erase(found);
}

void FederationIndex::refresh(const ZoneVersion& version, const wire::Name& service) {
  remove(service);
  bool is_service = false;
  Entry entry = read_entry(version, service, is_service);
  if (!is_service) return;
  for (const std::string& peer : entry.peers) by_peer_[peer].insert(service);
  for (const std::string& base : entry.bases) by_base_[base].insert(service);
  for (const std::string& owner : entry.owners) by_owner_[owner].insert(service);
  entries_.emplace(service, std::move(entry));
}

std::set<wire::Name> FederationIndex::directly_touched(const ChangeSet& change,
                                                       const ZoneVersion& after) const {
  using Kind = FederationName::Kind;
  std::set<wire::Name> touched;
  for (const RRsetChange& one : change.changes) {
    const FederationName name = classify(one.owner, after.apex());
    switch (name.kind) {
      case Kind::list:
      case Kind::commitment:
      case Kind::admission:
      case Kind::denial:
        touched.insert(name.service);
        break;
      case Kind::peer:
        touch_services_of_peer(one, name.label, after, touched);
        break;
      case Kind::base: {
        const auto& services = names_of(by_base_, name.label);
        touched.insert(services.begin(), services.end());
        break;
      }
      case Kind::other:
        if (one.type == RRType::txt || one.type == RRType::key) touched.insert(one.owner);
        break;
    }
  }
  return touched;
}

// A peer may stand in thousands of lists, and its address changes often. Whether it has one at all
// matters to each of its commitments, which one it is only where the service shows it at its own
// name.
void FederationIndex::touch_services_of_peer(const RRsetChange& change, std::string_view peer,
                                             const ZoneVersion& after,
                                             std::set<wire::Name>& touched) const {
  if (change.type != RRType::a && change.type != RRType::aaaa) return;
  const bool only_differs = change.before && change.after;
  for (const wire::Name& service : names_of(by_peer_, peer))
    if (!only_differs || after.find(service, change.type)) touched.insert(touched.end(), service);
}

std::vector<FederationIndex::Touched> FederationIndex::follow(const ChangeSet& change,
                                                              const ZoneVersion& after) {
  std::set<wire::Name> services = directly_touched(change, after);
  // The credit of an owner counts what it hosts for others: look at the peers of the touched
  // services as they were and as they are.
  std::set<std::string> peers;
  std::vector<Touched> touched;
  const auto take_up = [&](const wire::Name& service) {
    Touched one{service, {}, false};
    if (const auto found = entries_.find(service); found != entries_.end()) {
      one.was_service = true;
      one.former_ports = found->second.ports;
      peers.insert(found->second.peers.begin(), found->second.peers.end());
    }
    refresh(after, service);
    const auto found = entries_.find(service);
    if (found != entries_.end()) {
      peers.insert(found->second.peers.begin(), found->second.peers.end());
    }
    if (one.was_service || found != entries_.end()) touched.push_back(std::move(one));
  };
  for (const wire::Name& service : services) take_up(service);
  for (const std::string& peer : peers) {
    for (const wire::Name& owned : names_of(by_owner_, peer)) {
      if (services.insert(owned).second) {
        touched.push_back({owned, entries_.at(owned).ports, true});
      }
    }
  }
  return touched;
}

}  // namespace mutua::authority
