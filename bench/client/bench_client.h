#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/socket_address.h"
#include "base/unique_fd.h"

namespace mutua::bench {

// Nanoseconds, sorted by percentile().
using Latencies = std::vector<std::uint32_t>;

// The value below which `share` of the sorted values lie, in microseconds.
inline double percentile(const Latencies& sorted, double share) {
  if (sorted.empty()) return 0;
  const auto index = static_cast<std::size_t>(share * static_cast<double>(sorted.size()));
  return sorted[std::min(index, sorted.size() - 1)] / 1000.0;
}

// A connected socket; none where that failed, with errno set.
UniqueFd dial(const SocketAddress& address);

// What serve_path() says to an HTTP request.
inline constexpr std::string_view kAnswer = "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok";

// Each measures one thing and prints one JSON object; the exit status of the program.
int measure_lookups(const std::vector<std::string>& arguments);
int measure_path(const std::vector<std::string>& arguments);
int request_steadily(const std::vector<std::string>& arguments);
int simulate_choice(const std::vector<std::string>& arguments);
int describe_still_world(const std::vector<std::string>& arguments);
// A network link, until it is killed; says "ready".
int serve_link(const std::vector<std::string>& arguments);
int carry_flows(const std::vector<std::string>& arguments);

// Serves measure_path() until it is killed; says "ready".
int serve_path(const std::vector<std::string>& arguments);

}  // namespace mutua::bench
