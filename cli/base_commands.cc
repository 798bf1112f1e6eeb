#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>

#include "base/clock.h"
#include "base/durable_file.h"
#include "base/encoding.h"
#include "base/socket_address.h"
#include "base/unique_fd.h"
#include "cli/command.h"
#include "cli/output.h"
#include "peer/directory/names.h"
#include "peer/registration/update_message.h"
#include "stub_client/stub_client.h"
#include "trust/digest.h"
#include "trust/mac.h"
#include "wire/rdata.h"
#include "wire/tsig.h"

namespace mutua::cli {
namespace {

constexpr std::uint32_t kTtl = 30;  // seconds: how long peers may miss a revocation
constexpr std::chrono::seconds kTimeout{5};

constexpr const char* kTrustHelp =
    R"(usage: mutua base trust FILE --key KEYFILE --zone ZONE --authority ADDRESS:PORT

The operator's word that a kernel or a base disk may be run: lists its SHA-256 in the zone as trusted.
KEYFILE holds one line: <name> <hmac-sha256|hmac-sha384|hmac-sha512> <base64 secret>.
)";
constexpr const char* kRevokeHelp =
    R"(usage: mutua base revoke FILE|LABEL --key KEYFILE --zone ZONE --authority ADDRESS:PORT

Takes the trust back: no peer runs a service on it any more, and the authority serves none.
)";

constexpr const char* kBuildHelp = R"(usage: mutua base build [--update] [RECIPE]

Makes a base disk, or finds it in the cache, and prints its path. RECIPE is busybox (the default: a
shell and a web server), debian (Python, SQLite, nginx), or a file; the same recipe and the same
packages give the same bytes, so its digest may be trusted by others. --update asks Debian for newer
packages.
)";

struct TsigKey {
  wire::Name name;
  std::string algorithm;
  Bytes secret;
};

Result<TsigKey> load_key(const std::string& path) {
  const Bytes content = TRY(read_file(path, 4096));
  std::istringstream words{std::string(as_text(content))};
  std::string name, algorithm, secret, more;
  words >> name >> algorithm >> secret;
  if (secret.empty() || words >> more) {
    return Error(path + ": expected '<name> <algorithm> <base64 secret>'");
  }
  if (!trust::is_mac_algorithm(algorithm)) return Error(path + ": unknown algorithm " + algorithm);
  auto decoded = base64_decode(secret);
  if (!decoded.ok()) return decoded.error().in(path + ": the secret");
  return TsigKey{TRY(wire::Name::parse(name)), algorithm, std::move(*decoded)};
}

Result<trust::Digest> digest_of_file(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return errno_error(errno, "open " + path);
  trust::Sha256 hash;
  Bytes chunk(256 * 1024);
  for (;;) {
    const ssize_t count = ::read(fd.get(), chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_error(errno, "read " + path);
    if (count == 0) return hash.finish();
    hash.update({chunk.data(), static_cast<std::size_t>(count)});
  }
}

// A label, or the file whose digest it is made of.
Result<std::string> label_of(const std::string& text) {
  constexpr std::size_t label_length = 52;
  const bool is_file = ::access(text.c_str(), F_OK) == 0;
  if (!is_file && text.size() == label_length && base32_decode(text).ok()) return text;
  const trust::Digest digest = TRY(digest_of_file(text));
  return digest.label();
}

Result<void> send(const wire::Message& update, const TsigKey& key, const SocketAddress& authority) {
  wire::Tsig fields;
  fields.key_name = key.name;
  fields.algorithm = TRY(wire::Name::parse(key.algorithm));
  fields.time_signed =
      static_cast<std::uint64_t>(system_clock().wall_now().time_since_epoch().count());
  fields.original_id = update.header.id;
  const auto mac_of = [&key](BytesView covered) {
    auto mac = trust::hmac(key.algorithm, key.secret, covered);
    BASE_ASSERT(mac.ok());  // load_key() checked the algorithm
    return std::move(*mac);
  };
  const Bytes bytes = wire::sign_tsig(update.to_wire(), fields, {}, mac_of);
  const Bytes answer =
      TRY(stub_client::exchange(authority, bytes, kTimeout, stub_client::Transport::tcp));
  const wire::Message response = TRY(wire::parse(answer));
  if (response.header.rcode == wire::Rcode::noerror) return {};
  const auto why = wire::find_extended_error(response.edns);
  return Error("the authority answers " + wire::to_text(response.header.rcode) +
               (why ? ": " + why->text : ""));
}

Result<void> set_status(const Arguments& arguments, const char* status) {
  const std::string label = TRY(label_of(arguments.word(0)));
  const std::string key_path = TRY(arguments.required("key"));
  const std::string zone_text = TRY(arguments.required("zone"));
  const std::string authority_text = TRY(arguments.required("authority"));
  const TsigKey key = TRY(load_key(key_path));
  const peer::ZoneNames names(TRY(wire::Name::parse(zone_text)));
  const SocketAddress authority = TRY(SocketAddress::parse(authority_text, 53));
  const wire::Name name = TRY(names.base(label));
  Bytes txt = TRY(wire::make_txt({"v=1", std::string("status=") + status}));
  peer::UpdateMessage update(names.zone());
  update.remove_rrset(name, wire::RRType::txt);
  update.add(name, wire::RRType::txt, kTtl, std::move(txt));
  TRY(send(update.message, key, authority));
  print_line(label + " is " + status);
  return {};
}

Result<void> run_trust(const Arguments& arguments, const Sockets&) {
  return set_status(arguments, "trusted");
}
Result<void> run_revoke(const Arguments& arguments, const Sockets&) {
  return set_status(arguments, "revoked");
}

// Beside an installed program, or in the source tree that this one was built in.
Result<std::filesystem::path> find_build_script() {
  std::error_code problem;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", problem);
  if (problem) return errno_error(problem.value(), "find this program's folder");
  const auto folder = self.parent_path();
  for (const char* place : {"../share/mutua/base/build.sh", "../../../peer/vm/uml/base/build.sh"}) {
    const auto script = (folder / place).lexically_normal();
    if (::access(script.c_str(), X_OK) == 0) return script;
  }
  return Error("the recipes for base disks are not installed beside " + self.string());
}

Result<void> run_build(const Arguments& arguments, const Sockets&) {
  std::vector<std::string> words{TRY(find_build_script()).string()};
  if (arguments.has("update")) words.emplace_back("--update");
  if (arguments.word_count() > 0) words.push_back(arguments.word(0));
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  // Its progress, its result and its status are this command's.
  ::execv(pointers[0], pointers.data());
  return errno_error(errno, "run " + words[0]);
}

}  // namespace

std::vector<Command> base_commands() {
  const Grammar grammar{{"key", "zone", "authority"}, {}, 1, 1};
  return {{"base build", "make a base disk", kBuildHelp, {{}, {"update"}, 0, 1}, run_build},
          {"base trust", "operator: trust a kernel or base disk", kTrustHelp, grammar, run_trust},
          {"base revoke", "operator: take that trust back", kRevokeHelp, grammar, run_revoke}};
}

}  // namespace mutua::cli
