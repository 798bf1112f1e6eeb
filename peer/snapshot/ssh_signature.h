#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "trust/key.h"

namespace mutua::peer {

// SSH signatures (OpenSSH PROTOCOL.sshsig) by Ed25519 and ecdsa-sha2-nistp256 keys; the message
// is hashed with SHA-256.
//
//   -----BEGIN SSH SIGNATURE-----
//   base64 of: "SSHSIG"  uint32 1  string public key  string namespace  string reserved ""
//              string "sha256"  string signature
//   -----END SSH SIGNATURE-----
//
// Strings stand behind their length in four octets. Checked by
//   printf %s sha256:… | ssh-keygen -Y verify -n mutua-snapshot -f allowed -I owner -s file
// and made likewise by `ssh-keygen -Y sign -O hashalg=sha256`.
constexpr std::string_view kSnapshotNamespace = "mutua-snapshot";
constexpr std::size_t kLargestSshSignatureBytes = 4096;

std::string make_ssh_signature(const trust::PrivateKey& key, std::string_view name_space,
                               BytesView message);

// Succeeds where `armored` is a signature over exactly this message, in this namespace, by
// exactly this key.
Result<void> verify_ssh_signature(std::string_view armored, const trust::PublicKey& key,
                                  std::string_view name_space, BytesView message);

// The key as authorized_keys and allowed_signers write it: "ssh-ed25519 AAAA…".
std::string ssh_public_key(const trust::PublicKey& key);

}  // namespace mutua::peer
