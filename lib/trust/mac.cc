#include "trust/mac.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace mutua::trust {
namespace {

const EVP_MD* digest_of(std::string_view name) {
  if (name == "hmac-sha256") return EVP_sha256();
  if (name == "hmac-sha384") return EVP_sha384();
  if (name == "hmac-sha512") return EVP_sha512();
  return nullptr;
}

}  // namespace

bool is_mac_algorithm(std::string_view name) { return digest_of(name) != nullptr; }

Result<Bytes> hmac(std::string_view algorithm, BytesView secret, BytesView message) {
  const EVP_MD* digest = digest_of(algorithm);
  if (!digest) return Error("unknown MAC algorithm: " + std::string(algorithm));
  Bytes mac(EVP_MAX_MD_SIZE);
  unsigned size = 0;
  // HMAC() takes no null pointer for an empty secret.
  const std::uint8_t none = 0;
  const std::uint8_t* key = secret.empty() ? &none : secret.data();
  if (!HMAC(digest, key, static_cast<int>(secret.size()), message.data(), message.size(),
            mac.data(), &size)) {
    return Error("HMAC failed");
  }
  mac.resize(size);
  return mac;
}

bool equal_in_constant_time(BytesView a, BytesView b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace mutua::trust
