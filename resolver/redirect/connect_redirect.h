#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/unique_fd.h"
#include "resolver/redirect/ipv4_pool.h"

namespace mutua::resolver {

// Turns TCP connections to synthetic addresses into connections to peers while they begin, beside
// the relay's back. What it does not lead anywhere goes to the relay. Used on one thread.
class ConnectRedirect {
 public:
  struct Way {
    SocketAddress peer;
    std::chrono::milliseconds syn_timeout;  // of the first SYN; the relay answers the second one
    std::chrono::milliseconds overdue;      // an answer, for the connections after this one
    std::chrono::milliseconds late;         // an answer after which others had better go elsewhere
    bool operator==(const Way&) const = default;
  };
  static constexpr std::size_t kMostWays = 8;

  // What became of the connections to a peer since the redirect began. Counts may wrap.
  struct Report {
    std::uint32_t failures = 0, ends = 0;
    std::chrono::microseconds rtt{0};  // of the connection that ended last
    std::uint32_t suspicions = 0;      // times that its answer was overdue and others avoided it
    std::uint32_t late_answers = 0;    // connections that it took when its answer was overdue
    std::chrono::microseconds late_rtt{0};  // of the latest of them
    std::uint32_t transfers = 0;            // connections that received enough to tell of the path
    std::uint64_t octets = 0;               // that the latest of them received
    double octets_per_second = 0;           // at its best
  };

  virtual ~ConnectRedirect() = default;

  // Looks again at what may have changed in this machine's interfaces and routes; true where
  // can_lead_to() may answer otherwise than before. The descriptor is readable (epoll) then.
  virtual bool refresh() = 0;
  virtual int change_descriptor() const = 0;
  // Whether connections may be led to `peer`: there is a way to it, and should it refuse them or
  // not answer, their programs will not see it. Waits for nothing.
  virtual bool can_lead_to(const SocketAddress& peer) = 0;

  // New connections to (`synthetic`, `port`) go to the first of `ways` that has not just refused or
  // been silent; to the relay where there is none, and where the one they went to turns out not to
  // answer. At most kMostWays are taken.
  virtual Result<void> lead(Ipv4 synthetic, std::uint16_t port, const std::vector<Way>& ways) = 0;
  // When the latest connection was led from there; nothing where none was, or it is not led.
  virtual std::optional<SteadyTime> used_at(Ipv4 synthetic, std::uint16_t port) const = 0;
  // Connections to (`synthetic`, `port`), of either family, that are led nowhere come to the
  // relay's gates from now on, or no more.
  virtual Result<void> serve(Ipv4 synthetic, std::uint16_t port) = 0;
  virtual void stop_serving(Ipv4 synthetic, std::uint16_t port) = 0;

  // Which synthetic (address, port) a connection between these ends is for, which was led to `peer`
  // and then to the relay. Thread-safe; tells it once.
  virtual std::optional<SocketAddress> meant(const SocketAddress& client,
                                             const SocketAddress& peer) = 0;

  // A connection whose peer took it, and since then has neither said nor acknowledged anything. The
  // socket, which is the peer's end within this machine, becomes readable when the program's end has
  // turned to it and says everything again; that may not happen, for the peer may be heard after all.
  struct StandIn {
    UniqueFd socket;
    SocketAddress synthetic, client, peer;
  };
  // The new ones; told with failure_descriptor().
  virtual std::vector<StandIn> stand_ins() = 0;
  // Asked once. Whether the program's end has turned to it, so that the socket may be spoken through;
  // if not it never will, and closing the socket is not heard by anybody.
  virtual bool is_taken(const StandIn& stand_in) = 0;

  // For the operator: connections that meant() has told of or stand-ins have taken, and the names of the interfaces whose
  // refusals are hidden.
  struct Cover {
    std::uint64_t handed_over = 0;
    std::vector<std::string> interfaces;
  };
  virtual Cover cover() const = 0;

  virtual std::optional<Report> report_of(const SocketAddress& peer) const = 0;

  // Readable (epoll) when a peer has failed or was late, until acknowledge().
  virtual int failure_descriptor() const = 0;
  virtual void acknowledge() = 0;
};

}  // namespace mutua::resolver
