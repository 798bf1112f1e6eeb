#include "trust/key.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/durable_file.h"

namespace mutua::trust {
namespace {

constexpr std::size_t kEd25519KeySize = 32;
constexpr std::size_t kP256KeySize = 64;  // x || y
constexpr std::size_t kP256FieldSize = 32;
constexpr std::size_t kSignatureSize = 64;

template <auto free_function>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    free_function(object);
  }
};
using ContextHandle = std::unique_ptr<EVP_PKEY_CTX, Deleter<EVP_PKEY_CTX_free>>;
using DigestContextHandle = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;
using SignatureHandle = std::unique_ptr<ECDSA_SIG, Deleter<ECDSA_SIG_free>>;
using BioHandle = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using ParametersHandle = std::unique_ptr<OSSL_PARAM, Deleter<OSSL_PARAM_free>>;
using BuilderHandle = std::unique_ptr<OSSL_PARAM_BLD, Deleter<OSSL_PARAM_BLD_free>>;
using NumberHandle = std::unique_ptr<BIGNUM, Deleter<BN_clear_free>>;

EVP_PKEY* pkey(const std::shared_ptr<void>& handle) { return static_cast<EVP_PKEY*>(handle.get()); }

std::shared_ptr<void> own(EVP_PKEY* key) {
  return std::shared_ptr<void>(key,
                               [](void* owned) { EVP_PKEY_free(static_cast<EVP_PKEY*>(owned)); });
}

const EVP_MD* digest_of(Algorithm algorithm) {
  return algorithm == Algorithm::ed25519 ? nullptr : EVP_sha256();
}

// The uncompressed point 04 || x || y makes the key; OpenSSL checks that it is on the curve.
EVP_PKEY* p256_from_raw(BytesView raw) {
  Bytes point{0x04};
  append(point, raw);
  const BuilderHandle builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0);
  OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                   point.size());
  const ParametersHandle parameters(OSSL_PARAM_BLD_to_param(builder.get()));
  const ContextHandle context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  EVP_PKEY* key = nullptr;
  if (EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1) {
    return nullptr;
  }
  const ContextHandle check(EVP_PKEY_CTX_new(key, nullptr));
  if (EVP_PKEY_public_check(check.get()) == 1) return key;
  EVP_PKEY_free(key);
  return nullptr;
}

Result<Bytes> raw_public(EVP_PKEY* key, Algorithm algorithm) {
  if (algorithm == Algorithm::ed25519) {
    Bytes raw(kEd25519KeySize);
    std::size_t size = raw.size();
    if (EVP_PKEY_get_raw_public_key(key, raw.data(), &size) != 1 || size != raw.size()) {
      return Error("key: no Ed25519 public key");
    }
    return raw;
  }
  Bytes point(1 + kP256KeySize);
  std::size_t size = 0;
  if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size(),
                                      &size) != 1 ||
      size != point.size() || point[0] != 0x04) {
    return Error("key: no uncompressed P-256 public key");
  }
  return Bytes(point.begin() + 1, point.end());
}

// r || s as DNS writes it, to and from the DER of OpenSSL (RFC 6605 section 4).
Bytes der_from_raw(BytesView signature) {
  const SignatureHandle parsed(ECDSA_SIG_new());
  BIGNUM* r = BN_bin2bn(signature.data(), kP256FieldSize, nullptr);
  BIGNUM* s = BN_bin2bn(signature.data() + kP256FieldSize, kP256FieldSize, nullptr);
  BASE_ASSERT(parsed && r && s && ECDSA_SIG_set0(parsed.get(), r, s) == 1);
  std::uint8_t* der = nullptr;
  const int size = i2d_ECDSA_SIG(parsed.get(), &der);
  BASE_ASSERT(size > 0);
  Bytes result(der, der + size);
  OPENSSL_free(der);
  return result;
}

Bytes raw_from_der(BytesView der) {
  const std::uint8_t* at = der.data();
  const SignatureHandle parsed(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  BASE_ASSERT(parsed);
  Bytes raw(kSignatureSize);
  BASE_ASSERT(BN_bn2binpad(ECDSA_SIG_get0_r(parsed.get()), raw.data(), kP256FieldSize) ==
              kP256FieldSize);
  BASE_ASSERT(BN_bn2binpad(ECDSA_SIG_get0_s(parsed.get()), raw.data() + kP256FieldSize,
                           kP256FieldSize) == kP256FieldSize);
  return raw;
}

Result<Algorithm> algorithm_of(EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "ED25519")) return Algorithm::ed25519;
  char group[32] = "";
  if (EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof group, nullptr) == 1 &&
      std::string_view(group) == "prime256v1") {
    return Algorithm::ecdsa_p256_sha256;
  }
  return Error("key: neither Ed25519 nor ECDSA P-256");
}

}  // namespace

Result<PublicKey> PublicKey::create(std::uint8_t algorithm, BytesView raw) {
  if (algorithm == static_cast<std::uint8_t>(Algorithm::ed25519)) {
    if (raw.size() != kEd25519KeySize) return Error("key: an Ed25519 key has 32 octets");
    EVP_PKEY* key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw.data(), raw.size());
    if (!key) return Error("key: not an Ed25519 key");
    return PublicKey(Algorithm::ed25519, to_bytes(raw), own(key));
  }
  if (algorithm == static_cast<std::uint8_t>(Algorithm::ecdsa_p256_sha256)) {
    if (raw.size() != kP256KeySize) return Error("key: a P-256 key has 64 octets");
    EVP_PKEY* key = p256_from_raw(raw);
    if (!key) return Error("key: not a point on P-256");
    return PublicKey(Algorithm::ecdsa_p256_sha256, to_bytes(raw), own(key));
  }
  return errorf("key: algorithm %u is not supported (13 and 15 are)", algorithm);
}

bool PublicKey::verify(BytesView message, BytesView signature) const {
  if (signature.size() != kSignatureSize) return false;
  const Bytes checked =
      algorithm_ == Algorithm::ed25519 ? to_bytes(signature) : der_from_raw(signature);
  const DigestContextHandle context(EVP_MD_CTX_new());
  return context &&
         EVP_DigestVerifyInit(context.get(), nullptr, digest_of(algorithm_), nullptr,
                              pkey(handle_)) == 1 &&
         EVP_DigestVerify(context.get(), checked.data(), checked.size(), message.data(),
                          message.size()) == 1;
}

Result<PrivateKey> PrivateKey::generate(Algorithm algorithm) {
  EVP_PKEY* key = algorithm == Algorithm::ed25519
                      ? EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")
                      : EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
  if (!key) return Error("key: cannot be generated");
  auto handle = own(key);
  const Bytes raw = TRY(raw_public(key, algorithm));
  return PrivateKey(TRY(PublicKey::create(static_cast<std::uint8_t>(algorithm), raw)),
                    std::move(handle));
}

Result<PrivateKey> PrivateKey::load(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && (status.st_mode & 077) != 0) {
    return errorf("%s: others may read this private key; run: chmod 600 %s", path.c_str(),
                  path.c_str());
  }
  const Bytes pem = TRY(read_file(path, 64 * 1024));
  const BioHandle bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  EVP_PKEY* key = PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr);
  if (!key) return errorf("%s: not a PEM private key", path.c_str());
  auto handle = own(key);
  auto algorithm = algorithm_of(key);
  if (!algorithm.ok()) return algorithm.error().in(path.string());
  const Bytes raw = TRY(raw_public(key, *algorithm));
  return PrivateKey(TRY(PublicKey::create(static_cast<std::uint8_t>(*algorithm), raw)),
                    std::move(handle));
}

Result<void> PrivateKey::save(const std::filesystem::path& path) const {
  const BioHandle bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PKCS8PrivateKey(bio.get(), pkey(handle_), nullptr, nullptr, 0, nullptr,
                                    nullptr) != 1) {
    return errorf("%s: the key cannot be written as PEM", path.c_str());
  }
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return write_file_durably(path, as_bytes({text, static_cast<std::size_t>(size)}), 0600);
}

Bytes PrivateKey::sign(BytesView message) const {
  const DigestContextHandle context(EVP_MD_CTX_new());
  const EVP_MD* digest = digest_of(public_key_.algorithm());
  BASE_ASSERT(context &&
              EVP_DigestSignInit(context.get(), nullptr, digest, nullptr, pkey(handle_)) == 1);
  std::size_t size = 0;
  BASE_ASSERT(EVP_DigestSign(context.get(), nullptr, &size, message.data(), message.size()) == 1);
  Bytes signature(size);
  BASE_ASSERT(
      EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) == 1);
  signature.resize(size);
  return public_key_.algorithm() == Algorithm::ed25519 ? signature : raw_from_der(signature);
}

Result<Bytes> PrivateKey::raw_secret() const {
  Bytes secret(kP256FieldSize);
  if (public_key_.algorithm() == Algorithm::ed25519) {
    std::size_t size = secret.size();
    if (EVP_PKEY_get_raw_private_key(pkey(handle_), secret.data(), &size) != 1) {
      return Error("key: no private part");
    }
    return secret;
  }
  BIGNUM* number = nullptr;
  if (EVP_PKEY_get_bn_param(pkey(handle_), OSSL_PKEY_PARAM_PRIV_KEY, &number) != 1) {
    return Error("key: no private part");
  }
  const NumberHandle owned(number);
  BASE_ASSERT(BN_bn2binpad(number, secret.data(), kP256FieldSize) == kP256FieldSize);
  return secret;
}

}  // namespace mutua::trust
