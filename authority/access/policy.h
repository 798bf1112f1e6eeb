#pragma once

#include <optional>
#include <utility>
#include <variant>

#include "authority/access/authenticate.h"
#include "authority/access/refusal.h"
#include "authority/access/srp_message.h"
#include "authority/zone/zone_version.h"

namespace mutua::authority {

// An update whose sender may ask for all that is in it. Only permit() makes one.
class PermittedUpdate {
 public:
  const wire::Message& message() const { return request_.message(); }
  const Caller& caller() const { return request_.caller(); }
  // Set for SRP registrations; a plain RFC 2136 update otherwise.
  const std::optional<SrpRegistration>& srp() const { return srp_; }

 private:
  friend std::variant<PermittedUpdate, Refusal> permit(const AuthenticatedRequest& request,
                                                       const ZoneVersion& version);
  PermittedUpdate(const AuthenticatedRequest& request, std::optional<SrpRegistration> srp)
      : request_(request), srp_(std::move(srp)) {}

  const AuthenticatedRequest& request_;
  std::optional<SrpRegistration> srp_;
};

// Checks the zone section (RFC 2136 section 3.1) and who may write what (PROTOCOL.md, "Names" and
// "Writing"), before any prerequisite is looked at, so that strangers cannot probe the zone:
// - operators: everything but what is derived and what belongs to DNSSEC;
// - the holder of a key at a name: that name; as a service's owner also `_admit` and `_deny` below
//   it, and the deletion of commitments to it;
// - anybody: the first claim of a free, unreserved name with the KEY that signs;
// - peers, by SRP: `<peer>.peers`, `<peer>._mutua._tcp`, commitments to services; other hosts
//   and their services at the apex, first come, first served.
// `request` must outlive what is returned.
std::variant<PermittedUpdate, Refusal> permit(const AuthenticatedRequest& request,
                                              const ZoneVersion& version);

}  // namespace mutua::authority
