#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <string>

#include "base/clock.h"
#include "base/counter.h"
#include "base/socket_address.h"

namespace mutua::authority {

// Bounds the signature checks that one source may waste: after some failures within a second, its
// requests are refused unverified until the second is over. UDP and TCP count apart, because a
// datagram's source may be forged: whoever is framed can still come over TCP. For the same reason
// all datagrams together have a bound: beyond it, UDP is closed to SIG(0) for the rest of a second.
// One thread's, but for udp_is_closed().
class SourceLimits {
 public:
  bool allows(const SocketAddress& source, bool tcp, SteadyTime now) const;
  void count_failure(const SocketAddress& source, bool tcp, SteadyTime now);
  // Another signature was verified, for better or worse; how many there were.
  void count_check() { checks_.add(1); }
  std::uint64_t checks() const { return checks_.value(); }  // any thread
  // Any thread.
  bool udp_is_closed(SteadyTime now) const {
    return now.time_since_epoch().count() < udp_closed_until_.load(std::memory_order_relaxed);
  }

 private:
  static constexpr unsigned kFailuresPerSecond = 50;
  static constexpr unsigned kUdpFailuresPerSecond = 100;  // some 1 % of a processor
  static constexpr std::size_t kSources = 4096;

  struct Window {
    SteadyTime start;
    unsigned failures = 0;
  };
  // An IPv6 host has a whole /64 to send from.
  static std::string key_of(const SocketAddress& source, bool tcp);

  std::map<std::string, Window> windows_;
  Window all_udp_;
  Counter checks_;
  std::atomic<SteadyTime::rep> udp_closed_until_{0};
};

}  // namespace mutua::authority
