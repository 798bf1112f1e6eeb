#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/socket_address.h"
#include "peer/directory/names.h"
#include "trust/digest.h"
#include "trust/key.h"
#include "wire/message.h"

namespace mutua::peer {

// A peer's promise: this port of this service, as this manifest has it, answers at `mapped_port`.
struct Commitment {
  wire::Name service;  // its name in the zone
  std::uint16_t port = 0;
  std::string transport = "tcp";
  std::uint16_t mapped_port = 0;
  trust::Digest manifest;
};

// What a peer says of itself.
struct HostDescription {
  trust::PublicKey key;
  std::vector<SocketAddress> addresses;
  std::uint16_t exchange_port = 0;
  unsigned capacity = 0;  // machines
};

enum class Lease { renew, remove };

// Builds SRP updates (RFC 9665): one host description (delete all, KEY, A/AAAA), for each service
// instance its description (delete all, SRV, TXT) and its PTR, with an Update Lease (RFC 9664).
class SrpMessages {
 public:
  SrpMessages(ZoneNames names, HostDescription host, std::chrono::seconds lease);

  const wire::Name& host_name() const { return host_name_; }
  const std::string& peer() const { return peer_; }

  // The host, its layer exchange, and these commitments. Lease::remove takes all of it away.
  Result<wire::Message> registration(const std::vector<Commitment>& commitments, Lease lease) const;
  // The host and one commitment.
  Result<wire::Message> commitment(const Commitment& commitment) const;
  // The host, and the removal of one commitment (RFC 9665 section 3.2.5.5.2).
  Result<wire::Message> withdrawal(const Commitment& commitment) const;

 private:
  void describe_host(class UpdateMessage& update) const;
  Result<void> describe(class UpdateMessage& update, const Commitment& commitment) const;
  wire::Message finished(class UpdateMessage update, std::chrono::seconds lease) const;

  ZoneNames names_;
  HostDescription host_;
  std::chrono::seconds lease_;
  std::string peer_;
  wire::Name host_name_;
};

}  // namespace mutua::peer
