#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "authority/federation/federation_names.h"
#include "authority/zone/change_set.h"
#include "authority/zone/zone_version.h"

namespace mutua::authority {

// Finds the services that a change of the zone touches without walking the zone: by the peer that
// committed to them, the base that they stand on, the key that owns them. Follows one line of
// versions; everything in it can be rebuilt from the newest. Belongs to one thread.
class FederationIndex {
 public:
  FederationIndex() = default;
  // From a whole zone.
  explicit FederationIndex(const ZoneVersion& version);

  // A service whose lists may differ now.
  struct Touched {
    wire::Name service;
    std::vector<ServicePort> former_ports;  // offered before; the lists there were derived
    bool was_service = false;
  };

  // Takes up the change that led to `after` and tells which services it touches, directly or
  // through their owners' hosting credit. Costs O(change + size of the touched services).
  std::vector<Touched> follow(const ChangeSet& change, const ZoneVersion& after);

  std::vector<wire::Name> all_services() const;
  // The services that `peer` committed to, in canonical order; served or not.
  const std::set<wire::Name>& services_with_commitment_of(std::string_view peer) const;

 private:
  struct Entry {
    std::vector<ServicePort> ports;
    std::vector<std::string> bases;
    std::vector<std::string> owners;
    std::set<std::string> peers;
  };
  using Reverse = std::map<std::string, std::set<wire::Name>, std::less<>>;

  std::set<wire::Name> directly_touched(const ChangeSet& change, const ZoneVersion& after) const;
  void touch_services_of_peer(const RRsetChange& change, std::string_view peer,
                              const ZoneVersion& after, std::set<wire::Name>& touched) const;
  Entry read_entry(const ZoneVersion& version, const wire::Name& service, bool& is_service) const;
  void refresh(const ZoneVersion& version, const wire::Name& service);
  void remove(const wire::Name& service);

  std::unordered_map<wire::Name, Entry> entries_;
  Reverse by_peer_, by_base_, by_owner_;
};

}  // namespace mutua::authority
