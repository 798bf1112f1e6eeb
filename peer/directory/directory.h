#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/socket_address.h"
#include "peer/directory/names.h"
#include "trust/digest.h"
#include "trust/key.h"
#include "wire/message.h"

namespace mutua::peer {

// What the zone says of a service: KEY and TXT at its name.
struct ServiceRecord {
  wire::Name name;
  trust::PublicKey owner_key;
  std::string owner;  // the owner's peer id
  trust::Digest manifest;
  std::optional<trust::Digest> previous;  // while peers roll over
  std::vector<std::string> bases;         // labels
  std::string ports;                      // "80/tcp,443/tcp"
  std::string admission;                  // open, audited, granted
};

// One live commitment, served or not.
struct CommitmentRecord {
  std::string peer;
  std::uint16_t mapped_port = 0;
  trust::Digest manifest;
  std::vector<SocketAddress> addresses;  // with the mapped port
};

enum class BaseStatus { unknown, trusted, revoked };

// The federation's zone as its authorities answer for it. Every answer is asked for anew: what is
// decided from them is about trust. Blocks up to `timeout` for each authority that is silent; the
// next one is asked then. Thread-safe; immutable.
class Directory {
 public:
  Directory(ZoneNames names, std::vector<SocketAddress> authorities,
            std::chrono::milliseconds timeout = std::chrono::seconds(3));

  const ZoneNames& names() const { return names_; }

  // Nothing where nobody claimed the name.
  Result<std::optional<ServiceRecord>> service(const wire::Name& name) const;
  // All live commitments at a port, by their PTRs. One that goes away meanwhile is left out.
  Result<std::vector<CommitmentRecord>> commitments(const wire::Name& service, std::uint16_t port,
                                                    std::string_view transport) const;
  // The peers in the served list, with the served ports.
  Result<std::vector<std::pair<std::string, std::uint16_t>>> served(
      const wire::Name& service, std::uint16_t port, std::string_view transport) const;
  // Where a peer's layer exchange listens; empty where it is not registered.
  Result<std::vector<SocketAddress>> exchange(const std::string& peer) const;
  Result<BaseStatus> base(const std::string& label) const;
  // True where a record of the type exists at the name.
  Result<bool> exists(const wire::Name& name, wire::RRType type) const;

 private:
  // The records of (name, type) in the answer; empty for NXDOMAIN and NODATA.
  Result<std::vector<wire::Record>> query(const wire::Name& name, wire::RRType type) const;
  Result<std::vector<SocketAddress>> host_addresses(const wire::Name& host,
                                                    std::uint16_t port) const;

  ZoneNames names_;
  std::vector<SocketAddress> authorities_;
  std::chrono::milliseconds timeout_;
};

}  // namespace mutua::peer
