#include "peer/snapshot/ssh_signature.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>

#include "base/durable_file.h"
#include "support/temporary_folder.h"

namespace mutua::peer {
namespace {

const std::string kMessage = "sha256:0123456789abcdef";

class SshSignature : public ::testing::TestWithParam<trust::Algorithm> {
 protected:
  std::string sign() const {
    return make_ssh_signature(key_, kSnapshotNamespace, as_bytes(kMessage));
  }
  Result<void> check(std::string_view armored) const {
    return verify_ssh_signature(armored, key_.public_key(), kSnapshotNamespace, as_bytes(kMessage));
  }

  trust::PrivateKey key_ = trust::PrivateKey::generate(GetParam()).value();
  test::TemporaryFolder folder_;
};

TEST_P(SshSignature, HoldsForItsMessageAlone) {
  EXPECT_TRUE(check(sign()).ok());
  EXPECT_FALSE(
      verify_ssh_signature(sign(), key_.public_key(), kSnapshotNamespace, as_bytes(kMessage + "0"))
          .ok());
}

TEST_P(SshSignature, AnyChangedOrMissingCharacterBreaksIt) {
  const std::string armored = sign();
  for (std::size_t at = 0; at + 1 < armored.size(); at += 3) {
    std::string changed = armored;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    // The last base64 digit has unused bits, and a line end may be any blank.
    if (armored[at] == '\n' || armored[at + 1] == '=' || armored[at] == '=') continue;
    EXPECT_FALSE(check(changed).ok()) << at;
    EXPECT_FALSE(check(armored.substr(0, at)).ok()) << at;
  }
}

TEST_P(SshSignature, SshKeygenAcceptsIt) {
  write_file_durably(folder_ / "signature", as_bytes(sign())).value();
  write_file_durably(folder_ / "allowed",
                     as_bytes("owner " + ssh_public_key(key_.public_key()) + "\n"))
      .value();
  write_file_durably(folder_ / "message", as_bytes(kMessage)).value();
  const std::string at = folder_.path().string();
  const std::string command = "ssh-keygen -Y verify -n mutua-snapshot -I owner -f " + at +
                              "/allowed -s " + at + "/signature < " + at + "/message > /dev/null";
  const int status = std::system(command.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 0) << command;
}

INSTANTIATE_TEST_SUITE_P(Algorithms, SshSignature,
                         ::testing::Values(trust::Algorithm::ed25519,
                                           trust::Algorithm::ecdsa_p256_sha256));

}  // namespace
}  // namespace mutua::peer
