#pragma once

#include <chrono>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/socket_address.h"
#include "trust/key.h"
#include "wire/message.h"

namespace mutua::peer {

// What an authority said to an UPDATE.
struct UpdateReply {
  wire::Rcode rcode = wire::Rcode::noerror;
  std::string explanation;                    // the text of its extended error, if any
  std::optional<std::chrono::seconds> lease;  // the granted one, of SRP updates

  bool accepted() const { return rcode == wire::Rcode::noerror; }
  // "REFUSED: this name belongs to another key"
  Error to_error(const std::string& operation) const;
};

// Signs UPDATEs with the peer's key, SIG(0), and sends them over TCP: a datagram sent again would
// be a replay. Authorities want a key's inceptions never to go back, so one update is under way at
// a time, and the last inception is kept in a file across restarts and clock changes.
// Thread-safe; a call may wait for the one before it.
class UpdateClient {
 public:
  UpdateClient(trust::PrivateKey key, std::vector<SocketAddress> authorities,
               std::filesystem::path inception_file, const Clock& clock,
               std::chrono::milliseconds timeout = std::chrono::seconds(5));

  const trust::PublicKey& public_key() const { return key_.public_key(); }

  // Asks one authority after another until one answers. Each attempt is signed anew.
  Result<UpdateReply> send(const wire::Message& update, const wire::Name& signer);

 private:
  Result<std::uint32_t> next_inception();
  Result<UpdateReply> send_to(const SocketAddress& authority, const wire::Message& update,
                              const wire::Name& signer);

  trust::PrivateKey key_;
  std::vector<SocketAddress> authorities_;
  std::filesystem::path inception_file_;
  const Clock& clock_;
  std::chrono::milliseconds timeout_;
  std::mutex mutex_;
  std::uint32_t last_inception_ = 0;  // seconds since 1970; 0: not read from the file yet
};

}  // namespace mutua::peer
