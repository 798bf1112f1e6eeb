#pragma once

#include <map>
#include <optional>
#include <vector>

#include "authority/zone/change_set.h"
#include "authority/zone/zone_version.h"
#include "wire/message.h"
#include "wire/name.h"

namespace mutua::authority {

// A zone version with changes that nobody else sees yet. Costs O(what was changed). The version
// must outlive the draft.
class ZoneDraft {
 public:
  explicit ZoneDraft(const ZoneVersion& version) : version_(version) {}

  const ZoneVersion& version() const { return version_; }

  // What stands here with the changes so far; a copy.
  std::optional<RRset> find(const wire::Name& owner, wire::RRType type) const;
  std::vector<wire::RRType> types_at(const wire::Name& owner) const;
  bool is_in_use(const wire::Name& owner) const { return !types_at(owner).empty(); }

  // Adds a record. The RRset takes its TTL, also where the data was there (RFC 2136 section
  // 3.4.2.2).
  void add(const wire::Name& owner, wire::RRType type, std::uint32_t ttl, const Bytes& rdata);
  void replace(const wire::Name& owner, RRset rrset);
  void remove(const wire::Name& owner, wire::RRType type);
  // Removes one record; an RRset without records is gone.
  void remove_rdata(const wire::Name& owner, wire::RRType type, const Bytes& rdata);

  // A change of its own, where nothing else is one.
  void raise_serial();

  // What changed, with the SOA's serial raised by one unless the draft has set a later one. A
  // draft that changes nothing gives an empty change set, and the serial stays.
  ChangeSet finish();

 private:
  using Place = std::pair<wire::Name, wire::RRType>;
  std::optional<RRset>& edit(const wire::Name& owner, wire::RRType type);
  void raise_serial_in(ChangeSet& change) const;

  const ZoneVersion& version_;
  std::map<Place, std::optional<RRset>> edited_;
};

// The same data, whatever the letter case of names inside.
bool same_rdata(wire::RRType type, const Bytes& a, const Bytes& b);

}  // namespace mutua::authority
