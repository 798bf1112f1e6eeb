#include "trust/digest.h"

#include <openssl/evp.h>

#include <algorithm>

#include "base/assert.h"
#include "base/encoding.h"

namespace mutua::trust {

namespace {

class HashContext {
 public:
  explicit HashContext(const EVP_MD* hash) : context_(EVP_MD_CTX_new()) {
    BASE_ASSERT(context_ && EVP_DigestInit_ex(context_, hash, nullptr) == 1);
  }
  HashContext(const HashContext&) = delete;
  HashContext& operator=(const HashContext&) = delete;
  ~HashContext() { EVP_MD_CTX_free(context_); }

  void update(BytesView bytes) {
    BASE_ASSERT(EVP_DigestUpdate(context_, bytes.data(), bytes.size()) == 1);
  }
  void finish(std::uint8_t* octets) {
    BASE_ASSERT(EVP_DigestFinal_ex(context_, octets, nullptr) == 1);
  }

 private:
  EVP_MD_CTX* context_;
};

}  // namespace

struct Sha256::State {
  HashContext context{EVP_sha256()};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(BytesView bytes) { state_->context.update(bytes); }

Digest Sha256::finish() {
  std::array<std::uint8_t, Digest::kSize> octets;
  state_->context.finish(octets.data());
  return Digest(octets);
}

struct Sha384::State {
  HashContext context{EVP_sha384()};
};

Sha384::Sha384() : state_(std::make_unique<State>()) {}
Sha384::~Sha384() = default;
Sha384::Sha384(Sha384&&) noexcept = default;
Sha384& Sha384::operator=(Sha384&&) noexcept = default;

void Sha384::update(BytesView bytes) { state_->context.update(bytes); }

Bytes Sha384::finish() {
  Bytes octets(kSize);
  state_->context.finish(octets.data());
  return octets;
}

Digest sha256(BytesView bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

Result<Digest> Digest::from_octets(BytesView octets) {
  if (octets.size() != kSize) return errorf("a digest of %zu octets", octets.size());
  Digest digest;
  std::ranges::copy(octets, digest.octets_.begin());
  return digest;
}

Result<Digest> Digest::parse(std::string_view text) {
  constexpr std::string_view prefix = "sha256:";
  const auto bad = [&] {
    return Error("not a sha256 digest: " + std::string(text.substr(0, 100)));
  };
  if (!text.starts_with(prefix) || text.size() != prefix.size() + 2 * kSize) return bad();
  const auto octets = hex_decode(text.substr(prefix.size()));
  if (!octets.ok()) return bad();
  return from_octets(*octets);
}

std::string Digest::to_text() const { return "sha256:" + hex(); }
std::string Digest::hex() const { return hex_encode(octets_); }
std::string Digest::label() const { return base32_encode(octets_); }

}  // namespace mutua::trust
