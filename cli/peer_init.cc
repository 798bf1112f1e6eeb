#include <sys/stat.h>

#include <cerrno>
#include <system_error>

#include "cli/command.h"
#include "cli/output.h"
#include "trust/key.h"
#include "trust/peer_id.h"

namespace mutua::cli {
namespace {

constexpr const char* kHelp =
    R"(usage: mutua peer init --state FOLDER [--algorithm ed25519|ecdsa-p256]

Makes the key of a new peer, FOLDER/peer.key, and prints the peer's name. The key is the peer: who
has it speaks for the peer and for every service that the peer publishes. Keep a copy; an existing
key is never replaced.
)";

Result<void> run(const Arguments& arguments, const Sockets&) {
  const std::filesystem::path folder = TRY(arguments.required("state"));
  const std::string algorithm = TRY(arguments.one("algorithm", "ed25519"));
  if (algorithm != "ed25519" && algorithm != "ecdsa-p256") {
    return Error("--algorithm is ed25519 or ecdsa-p256, not " + algorithm);
  }
  std::error_code problem;
  std::filesystem::create_directories(folder, problem);
  if (problem) return errno_error(problem.value(), "create " + folder.string());
  // Machines run as other users and reach their files by descriptors, so nobody else needs to look.
  if (::chmod(folder.c_str(), 0700) != 0) return errno_error(errno, "chmod " + folder.string());
  const std::filesystem::path path = folder / "peer.key";
  if (std::filesystem::exists(path, problem)) {
    return Error(path.string() + " is there already; it is not replaced");
  }
  const auto key = TRY(trust::PrivateKey::generate(
      algorithm == "ed25519" ? trust::Algorithm::ed25519 : trust::Algorithm::ecdsa_p256_sha256));
  TRY(key.save(path));
  print_line(trust::peer_id(key.public_key()));
  return {};
}

}  // namespace

std::vector<Command> peer_init_commands() {
  return {
      {"peer init", "make the key of a new peer", kHelp, {{"state", "algorithm"}, {}, 0, 0}, run}};
}

}  // namespace mutua::cli
