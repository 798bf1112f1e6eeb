#include "peer/vm/jail/host_port.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

namespace mutua::vm {
namespace {

constexpr std::size_t kMostTries = 64;

}  // namespace

Result<std::uint16_t> choose_host_port(
    const PortMapping& mapping,
    const std::function<Result<std::uint16_t>(std::uint16_t port)>& bind) {
  std::vector<std::uint16_t> candidates(
      static_cast<std::size_t>(mapping.host_port_last - mapping.host_port_first) + 1);
  std::iota(candidates.begin(), candidates.end(), mapping.host_port_first);
  std::random_device entropy;
  std::mt19937 random(entropy());
  std::shuffle(candidates.begin(), candidates.end(), random);
  // With port 0 a lost race is the only failure worth another try.
  const std::size_t tries = mapping.host_port_first == 0 ? 8 : candidates.size();
  Error last("no port in the range");
  for (std::size_t i = 0; i < tries && i < kMostTries; ++i) {
    auto port = bind(candidates[i % candidates.size()]);
    if (port.ok()) return port;
    last = port.error();
  }
  return last.in(std::string(to_string(mapping.protocol)) + ' ' + mapping.host_address + ':' +
                 std::to_string(mapping.host_port_first) + '-' +
                 std::to_string(mapping.host_port_last));
}

}  // namespace mutua::vm
