#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "base/bytes.h"
#include "base/result.h"

namespace mutua::trust {

// DNS security algorithm numbers (RFC 8080, RFC 6605).
enum class Algorithm : std::uint8_t { ecdsa_p256_sha256 = 13, ed25519 = 15 };

// A public key as DNS writes it: 32 octets for Ed25519, x||y of 64 octets for P-256. A value.
class PublicKey {
 public:
  // Fails for other algorithms, wrong sizes and points that are not on the curve.
  static Result<PublicKey> create(std::uint8_t algorithm, BytesView raw);

  Algorithm algorithm() const { return algorithm_; }
  BytesView raw() const { return raw_; }
  // `signature`: 64 octets, for P-256 r||s (RFC 6605 section 4).
  bool verify(BytesView message, BytesView signature) const;

  bool operator==(const PublicKey& other) const {
    return algorithm_ == other.algorithm_ && raw_ == other.raw_;
  }

 private:
  PublicKey(Algorithm algorithm, Bytes raw, std::shared_ptr<void> handle)
      : algorithm_(algorithm), raw_(std::move(raw)), handle_(std::move(handle)) {}
  friend class PrivateKey;

  Algorithm algorithm_;
  Bytes raw_;
  std::shared_ptr<void> handle_;  // EVP_PKEY, immutable
};

// A private key. Copies share the immutable handle. Signing is thread-safe.
class PrivateKey {
 public:
  static Result<PrivateKey> generate(Algorithm algorithm);
  // PKCS#8 PEM, mode 0600. A file that others may read is refused.
  static Result<PrivateKey> load(const std::filesystem::path& path);
  Result<void> save(const std::filesystem::path& path) const;

  const PublicKey& public_key() const { return public_key_; }
  Bytes sign(BytesView message) const;  // 64 octets
  // The private scalar or seed: 32 octets, for the export into BIND's K*.private format.
  Result<Bytes> raw_secret() const;

 private:
  PrivateKey(PublicKey public_key, std::shared_ptr<void> handle)
      : public_key_(std::move(public_key)), handle_(std::move(handle)) {}

  PublicKey public_key_;
  std::shared_ptr<void> handle_;  // EVP_PKEY
};

}  // namespace mutua::trust
