#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/encoding.h"
#include "peer/snapshot/ssh_signature.h"

// The input is read as an armored signature, and as the octets inside the armor. None holds: the
// fuzzer has no key.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mutua;
  static const trust::PrivateKey keys[] = {
      trust::PrivateKey::generate(trust::Algorithm::ed25519).value(),
      trust::PrivateKey::generate(trust::Algorithm::ecdsa_p256_sha256).value()};
  const BytesView bytes(data, size);
  const std::string armored =
      "-----BEGIN SSH SIGNATURE-----\n" + base64_encode(bytes) + "\n-----END SSH SIGNATURE-----\n";
  for (const trust::PrivateKey& key : keys) {
    for (const std::string_view text : {as_text(bytes), std::string_view(armored)}) {
      const auto held = peer::verify_ssh_signature(text, key.public_key(), peer::kSnapshotNamespace,
                                                   as_bytes("message"));
      if (held.ok()) std::abort();
    }
  }
  return 0;
}
