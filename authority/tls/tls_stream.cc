#include "authority/tls/tls_stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

namespace mutua::authority {

std::unique_ptr<TlsStream> TlsStream::accept(const TlsContext& context, int socket) {
  SSL* const stream = SSL_new(context.get());
  if (!stream) return nullptr;
  std::unique_ptr<TlsStream> made(new TlsStream(stream));
  if (SSL_set_fd(stream, socket) != 1) return nullptr;
  SSL_set_accept_state(stream);
  return made;
}

TlsStream::~TlsStream() {
  // A last word, where the socket takes it at once: then the client need not doubt what it has.
  if (SSL_is_init_finished(stream_)) SSL_shutdown(stream_);
  ERR_clear_error();
  SSL_free(stream_);
}

TlsStream::Moved TlsStream::read(std::span<std::uint8_t> into) {
  std::size_t octets = 0;
  const int result = SSL_read_ex(stream_, into.data(), into.size(), &octets);
  return outcome(result, octets);
}

TlsStream::Moved TlsStream::write(BytesView octets) {
  std::size_t written = 0;
  const int result = SSL_write_ex(stream_, octets.data(), octets.size(), &written);
  return outcome(result, written);
}

bool TlsStream::has_pending() const { return SSL_has_pending(stream_) == 1; }

TlsStream::Moved TlsStream::outcome(int result, std::size_t octets) {
  wants_to_write_ = false;
  if (result == 1) return {State::moved, octets};
  const int error = SSL_get_error(stream_, result);
  ERR_clear_error();  // the queue is the thread's: the next stream must not find this one's
  switch (error) {
    case SSL_ERROR_WANT_WRITE:
      wants_to_write_ = true;
      return {State::blocked};
    case SSL_ERROR_WANT_READ:
      return {State::blocked};
    case SSL_ERROR_ZERO_RETURN:
      return {State::finished};
    default:
      return {State::broken};
  }
}

}  // namespace mutua::authority
