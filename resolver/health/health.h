#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"

namespace mutua::resolver {

// What this client has seen of one peer's (address, port). Values; time is the caller's.
struct Health {
  std::uint64_t visits = 0;  // connections tried
  std::optional<std::chrono::microseconds> smoothed_rtt;
  std::optional<double> bandwidth;  // octets a second, received from the peer
  unsigned consecutive_failures = 0;
  SteadyTime held_until{};       // not chosen before, unless there is nobody else
  SteadyTime suspected_until{};  // the same: an answer of its is overdue
  SteadyTime measured_at{};
  SteadyTime probed_at{};
  SteadyTime used_at{};
  std::string last_failure;

  SteadyTime avoided_until() const { return std::max(held_until, suspected_until); }
  bool is_held(SteadyTime now) const { return now < avoided_until(); }
};

// A connection is about to be tried.
Health after_attempt(Health health, SteadyTime now);

// How long the peer may take to take a connection, before it is suspected of being dead: two round
// trips, and as long as it would cost the others to go elsewhere (`detour`), of which 2 to 5 ms
// count: a black hole costs each of those who wait for it a hundred times as much. For a peer that was
// never measured 5 ms: one connection finds out, the others need not wait for it.
std::chrono::milliseconds overdue_after(std::optional<std::chrono::microseconds> rtt,
                                        std::chrono::microseconds detour);
// A peer that has taken so long is too slow to be worth it: as above, with all of the detour.
std::chrono::milliseconds late_after(std::chrono::microseconds rtt,
                                     std::chrono::microseconds detour);

// The peer has not taken a connection for so long. Until it does or has failed, for 0.5 s at most,
// others go elsewhere.
Health after_overdue(Health health, SteadyTime now);

// The peer took a connection whose round trip was `rtt`, or a living connection measured `rtt`.
// RFC 6298's gain of 1/8, but 1/2 while the sample halves or doubles the estimate: the path
// changed.
Health after_rtt(Health health, std::chrono::microseconds rtt, SteadyTime now);

// A connection that carried `octets` had its best window (BandwidthMeter) at `octets_per_second`.
// It weighs the more the longer it was. A short one that slow start held back says only that the
// path is at least so fast; one that was slower than slow start alone shows the path itself.
Health after_transfer(Health health, double octets_per_second, std::uint64_t octets,
                      SteadyTime now);

// A probe, not a visit: the peer took a connection that carried nothing. A round trip that is far
// from what is known, by 1.7 times, tells of another path: what was measured is forgotten and the
// peer is to be visited again.
Health after_probe(Health health, std::chrono::microseconds rtt, SteadyTime now);

// The peer gave an answer: it is no longer failing.
Health after_success(Health health, SteadyTime now);

// The peer refused, stalled or broke off before its first octet. It is held down for 1 s, doubled
// for each failure in a row, to 5 minutes at most. What fails while it is held down was under way
// before, or a last resort: it does not count.
Health after_failure(Health health, std::string reason, SteadyTime now);

}  // namespace mutua::resolver
