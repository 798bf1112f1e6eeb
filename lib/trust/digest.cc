#include "trust/digest.h"

#include <openssl/evp.h>

#include <algorithm>

#include "base/assert.h"
#include "base/encoding.h"

namespace mutua::trust {

struct Sha256::State {
  State() : context(EVP_MD_CTX_new()) {
    BASE_ASSERT(context && EVP_DigestInit_ex(context, EVP_sha256(), nullptr) == 1);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { EVP_MD_CTX_free(context); }

  EVP_MD_CTX* context;
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(BytesView bytes) {
  BASE_ASSERT(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
}

Digest Sha256::finish() {
  std::array<std::uint8_t, 32> octets;
  BASE_ASSERT(EVP_DigestFinal_ex(state_->context, octets.data(), nullptr) == 1);
  return Digest(octets);
}

Digest sha256(BytesView bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

Result<Digest> Digest::parse(std::string_view text) {
  constexpr std::string_view prefix = "sha256:";
  const auto bad = [&] {
    return Error("not a sha256 digest: " + std::string(text.substr(0, 100)));
  };
  if (!text.starts_with(prefix) || text.size() != prefix.size() + 64) return bad();
  auto octets = hex_decode(text.substr(prefix.size()));
  if (!octets.ok()) return bad();
  Digest digest;
  std::ranges::copy(*octets, digest.octets_.begin());
  return digest;
}

std::string Digest::to_text() const { return "sha256:" + hex(); }
std::string Digest::hex() const { return hex_encode(octets_); }
std::string Digest::label() const { return base32_encode(octets_); }

}  // namespace mutua::trust
