#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "peer/snapshot/config.h"
#include "peer/snapshot/manifest.h"

// Whatever parses prints to something that parses to the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mutua::peer;
  const mutua::BytesView bytes(data, size);
  if (const auto manifest = parse_manifest(bytes); manifest.ok()) {
    const auto again = parse_manifest(print_manifest(*manifest));
    if (!again.ok() || *again != *manifest) std::abort();
  }
  if (const auto config = parse_snapshot_config(bytes); config.ok()) {
    const auto again = parse_snapshot_config(print_snapshot_config(*config));
    if (!again.ok() || *again != *config) std::abort();
  }
  [[maybe_unused]] const auto referrers = parse_referrers(bytes);
  return 0;
}
