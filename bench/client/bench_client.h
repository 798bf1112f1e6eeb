#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace mutua::bench {

// Nanoseconds, sorted by percentile().
using Latencies = std::vector<std::uint32_t>;

// The value below which `share` of the sorted values lie, in microseconds.
inline double percentile(const Latencies& sorted, double share) {
  if (sorted.empty()) return 0;
  const auto index = static_cast<std::size_t>(share * static_cast<double>(sorted.size()));
  return sorted[std::min(index, sorted.size() - 1)] / 1000.0;
}

// Each measures one thing and prints one JSON object; the exit status of the program.
int measure_lookups(const std::vector<std::string>& arguments);

}  // namespace mutua::bench
