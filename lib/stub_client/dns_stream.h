#pragma once

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/socket_address.h"
#include "base/unique_fd.h"

namespace mutua::stub_client {

// A TCP connection to a nameserver, from the client's side (RFC 1035 section 4.2.2). Every call
// ends by its deadline, or at once when `cancel` becomes readable. Errors do not name the server.
// Not thread-safe.
class DnsStream {
 public:
  // `cancel`: a descriptor that is only watched and outlives the stream; -1: nobody cancels.
  static Result<DnsStream> connect(const SocketAddress& server, SteadyTime deadline,
                                   int cancel = -1);

  // At most 65535 octets.
  Result<void> send(BytesView message, SteadyTime deadline);
  // The next message. Fails where the other side ends the stream.
  Result<Bytes> receive(SteadyTime deadline);

 private:
  DnsStream(UniqueFd socket, int cancel) : socket_(std::move(socket)), cancel_(cancel) {}

  Result<void> wait(short events, SteadyTime deadline) const;
  Result<void> fill(Bytes& out, std::size_t size, SteadyTime deadline) const;

  UniqueFd socket_;
  int cancel_;
};

}  // namespace mutua::stub_client
