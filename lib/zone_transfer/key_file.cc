#include "zone_transfer/key_file.h"

#include <sstream>
#include <utility>

#include "base/durable_file.h"
#include "base/encoding.h"
#include "trust/mac.h"

namespace mutua::zone_transfer {
namespace {

constexpr std::size_t kLargestSecretFile = 4096;

}  // namespace

Result<wire::TsigKey> read_tsig_key(const std::string& setting) {
  std::istringstream words(setting);
  std::string name, algorithm, path, more;
  words >> name >> algorithm >> path;
  if (path.empty() || words >> more) return Error("expected: name algorithm path");
  if (!trust::is_mac_algorithm(algorithm)) return Error("unknown algorithm: " + algorithm);
  wire::TsigKey key;
  key.name = TRY(wire::Name::parse(name));
  key.algorithm = algorithm;
  const Bytes content = TRY(read_file(path, kLargestSecretFile));
  auto secret = base64_decode(as_text(content));
  if (!secret || secret->empty()) return Error(path + ": not a base64 secret");
  key.secret = *std::move(secret);
  return key;
}

}  // namespace mutua::zone_transfer
