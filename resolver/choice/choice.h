#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "resolver/choice/candidate.h"
#include "resolver/health/health.h"

namespace mutua::resolver {

struct Policy {
  double typical_octets = 100'000;          // the transfer that a prediction is about
  double assumed_bandwidth = 1'250'000;     // octets a second, where nobody is known to do better
  std::chrono::seconds revisit_after{600};  // a measurement older than this may be taken again
  double explore = 0.002;                   // of the connections try another peer than the best
};

enum class Standing { unvisited, measured, doubted, held };
const char* to_string(Standing standing);

struct Ranked {
  std::size_t index = 0;  // into the candidates
  Standing standing = Standing::unvisited;
  std::optional<std::chrono::microseconds> predicted;  // where measured
};

// The order in which to try `candidates`; `health` stands beside them, one each. PURE: the same
// arguments give the same order, and the result is always a permutation of all candidates.
//
// The rule of the paper: visit everybody in turn, then use the best latency/bandwidth pair.
//  - SRV priority first (RFC 2782): a lower number goes before a higher one.
//  - Then standing: unvisited peers, then measured ones. Last, after every other priority too, peers
//    that failed: doubted ones, whose hold is over but which no probe has reached since, for as long
//    as a measurement is worth; then those that are held down.
//  - Unvisited: the least tried first; within that, weighted random (RFC 2782) drawn from `seed`.
//    A peer whose measurement is old is visited again if it may be the best: if it would be with
//    the best bandwidth that is known of anybody. The others cost their users time and cannot win.
//  - Measured: the least predicted time first; of predictions within 10 % of the best, the greater
//    weight first.
//  - Doubted and held: the one whose hold ends first.
//  - Every now and then (`explore`, drawn from `seed`), the measured peer of the best priority that was
//    measured longest ago goes first, if its round trip alone does not take twice the best one's time:
//    the only way to learn that a path has become better.
std::vector<Ranked> rank(const std::vector<Candidate>& candidates,
                         const std::vector<Health>& health, const Policy& policy,
                         std::uint64_t seed, SteadyTime now);

// Peers to be probed. PURE. The doubted ones, at once; and the stalest: of those that were measured
// and have not failed, the one that was measured or probed longest ago.
std::vector<std::size_t> doubted(const std::vector<Health>& health, const Policy& policy,
                                 SteadyTime now);
std::optional<std::size_t> stalest(const std::vector<Health>& health, const Policy& policy,
                                   SteadyTime now);

// srtt x (1 + rounds of slow start) + octets / bandwidth. Slow start begins with 10 segments of
// 1460 octets (RFC 6928) and doubles until the window fills the path or the rest fits.
std::chrono::microseconds predicted_time(std::chrono::microseconds rtt, double bandwidth,
                                         double octets);

// How much longer a typical flow takes with `next` than with `peer`; the longest time where one of
// them was never measured.
std::chrono::microseconds detour(const Health& peer, const Health& next, const Policy& policy);

// Why a candidate stands where it stands, for a person: "predicted 12.3 ms for 200 kB (rtt …)".
std::string explain(const Ranked& ranked, const Health& health, const Policy& policy,
                    SteadyTime now);

}  // namespace mutua::resolver
