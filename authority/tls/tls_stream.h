#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "authority/tls/tls_context.h"
#include "base/bytes.h"

struct ssl_st;

namespace mutua::authority {

// The server's side of TLS over a socket that does not block. The handshake goes on within read()
// and write(). One thread at a time.
class TlsStream {
 public:
  // `socket` outlives the stream and stays the caller's. Null where memory is short.
  static std::unique_ptr<TlsStream> accept(const TlsContext& context, int socket);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  enum class State { moved, blocked, finished, broken };
  struct Moved {
    State state;
    std::size_t octets = 0;  // where it is `moved`
  };
  // Up to one record.
  Moved read(std::span<std::uint8_t> into);
  Moved write(BytesView octets);

  // Octets are here already, for which the socket will not become readable.
  bool has_pending() const;
  // The last read() waits for the socket to take octets.
  bool wants_to_write() const { return wants_to_write_; }

 private:
  explicit TlsStream(ssl_st* stream) : stream_(stream) {}
  Moved outcome(int result, std::size_t octets);

  ssl_st* const stream_;
  bool wants_to_write_ = false;
};

}  // namespace mutua::authority
