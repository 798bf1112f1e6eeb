#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "peer/directory/names.h"
#include "peer/registration/update_client.h"
#include "trust/digest.h"

namespace mutua::peer {

// What an owner says of its service: the TXT beside its KEY.
struct ServiceDescription {
  trust::Digest manifest;
  // The manifest before, while peers roll over: its replicas are served as well.
  std::optional<trust::Digest> previous;
  std::vector<std::string> bases;  // labels
  std::string ports;               // "80/tcp,443/tcp"
  std::string admission = "audited";
};

// The owner's own updates (RFC 2136), signed as the service. Thread-safe. Each error carries the
// authority's words.
class OwnerUpdates {
 public:
  OwnerUpdates(UpdateClient& client, ZoneNames names) : client_(client), names_(std::move(names)) {}

  // Claims the name where nobody has it; describes it anew where this key has it already.
  Result<void> publish(const wire::Name& service, const ServiceDescription& description);
  // Takes `previous` out of a description, if it stands as it is given.
  Result<void> end_roll_over(const wire::Name& service, ServiceDescription description);
  // Gives the name back.
  Result<void> release(const wire::Name& service);
  // Lets a peer's commitment be served; lifts a denial.
  Result<void> admit(const wire::Name& service, const std::string& peer);
  // Takes the admission back, without blame: the next passed check admits again.
  Result<void> suspend(const wire::Name& service, const std::string& peer);
  // Takes a peer out of the service's list for good. `reason` is one word.
  Result<void> deny(const wire::Name& service, const std::string& peer, const std::string& reason,
                    const trust::Digest& evidence);

 private:
  Result<void> send(const wire::Message& message, const wire::Name& service,
                    const std::string& operation);

  UpdateClient& client_;
  ZoneNames names_;
};

}  // namespace mutua::peer
