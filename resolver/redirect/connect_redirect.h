#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "resolver/redirect/ipv4_pool.h"

namespace mutua::resolver {

// Turns TCP connections to synthetic addresses into connections to peers while they begin, beside
// the relay's back. What it does not lead anywhere goes to the relay. Used on one thread.
class ConnectRedirect {
 public:
  struct Way {
    SocketAddress peer;
    std::chrono::milliseconds syn_timeout;  // of the first SYN; a second one is given twice as long
  };
  static constexpr std::size_t kMostWays = 8;

  // What became of the connections to a peer since the redirect began. Counts may wrap.
  struct Report {
    std::uint32_t failures = 0, ends = 0;
    std::chrono::microseconds rtt{0};  // of the connection that ended last
  };

  virtual ~ConnectRedirect() = default;

  // New connections to (`synthetic`, `port`) go to the first of `ways` that has not just refused or
  // been silent; to the relay where there is none. At most kMostWays are taken.
  virtual Result<void> lead(Ipv4 synthetic, std::uint16_t port, const std::vector<Way>& ways) = 0;
  // Connections to (`synthetic`, `port`), of either family, that are led nowhere come to the relay's
  // gates from now on, or no more.
  virtual Result<void> serve(Ipv4 synthetic, std::uint16_t port) = 0;
  virtual void stop_serving(Ipv4 synthetic, std::uint16_t port) = 0;

  virtual std::optional<Report> report_of(const SocketAddress& peer) const = 0;

  // Readable (epoll) when a peer has failed, until acknowledge().
  virtual int failure_descriptor() const = 0;
  virtual void acknowledge() = 0;
};

}  // namespace mutua::resolver
