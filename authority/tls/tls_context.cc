#include "authority/tls/tls_context.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cstring>
#include <string>

namespace mutua::authority {
namespace {

constexpr long kSessionSeconds = 2 * 3600;
constexpr std::size_t kReadBuffer = 32 * 1024;  // octets: two records in one system call

Error ssl_error(const std::string& what) {
  char text[256] = "unknown";
  if (const unsigned long code = ERR_get_error(); code != 0)
    ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return Error(what + ": " + text);
}

// RFC 7858 asks for no ALPN, RFC 9103 for "dot": whoever offers others only is at the wrong port.
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* chosen_size,
                    const unsigned char* offered, unsigned int offered_size, void*) {
  static constexpr unsigned char kDot[] = {3, 'd', 'o', 't'};
  unsigned char* found = nullptr;
  if (SSL_select_next_proto(&found, chosen_size, kDot, sizeof kDot, offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

Result<std::shared_ptr<const TlsContext>> TlsContext::load(const std::filesystem::path& certificate,
                                                           const std::filesystem::path& key) {
  SSL_CTX* const context = SSL_CTX_new(TLS_server_method());
  if (!context) return ssl_error("TLS");
  std::shared_ptr<const TlsContext> made(new TlsContext(context));
  if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1) return ssl_error("TLS 1.3");
  if (SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1)
    return ssl_error(certificate.string());
  if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1)
    return ssl_error(key.string());
  if (SSL_CTX_check_private_key(context) != 1)
    return ssl_error(key.string() + " is not the key of " + certificate.string());
  // What was queued leaves as far as it goes, from wherever the queue lies then.
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_default_read_buffer_len(context, kReadBuffer);
  SSL_CTX_set_num_tickets(context, 1);
  SSL_CTX_set_timeout(context, kSessionSeconds);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  return made;
}

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

}  // namespace mutua::authority
