#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <utility>

#include "base/result.h"

struct ssl_ctx_st;

namespace mutua::authority {

// A certificate with its key, ready to meet clients: TLS 1.3 only (RFC 9103 section 5.1), sessions
// are resumed by tickets, ALPN is "dot" where the client offers any. Immutable; thread-safe.
class TlsContext {
 public:
  // PEM files: the certificate with its chain, and the key. Fails where they do not belong
  // together.
  static Result<std::shared_ptr<const TlsContext>> load(const std::filesystem::path& certificate,
                                                        const std::filesystem::path& key);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  ssl_ctx_st* get() const { return context_; }

 private:
  explicit TlsContext(ssl_ctx_st* context) : context_(context) {}
  ssl_ctx_st* const context_;
};

// The context for connections that begin now: replaced whole, when the operator renews the
// certificate. Connections that stand keep theirs. Thread-safe.
class CurrentTlsContext {
 public:
  explicit CurrentTlsContext(std::shared_ptr<const TlsContext> context)
      : context_(std::move(context)) {}

  std::shared_ptr<const TlsContext> get() const {
    const std::lock_guard lock(mutex_);
    return context_;
  }
  void replace(std::shared_ptr<const TlsContext> context) {
    const std::lock_guard lock(mutex_);
    context_ = std::move(context);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const TlsContext> context_;
};

}  // namespace mutua::authority
