#include "resolver/service/connect_routes.h"

#include <sys/epoll.h>

#include <algorithm>
#include <set>

#include "base/log.h"

namespace mutua::resolver {
namespace {

constexpr std::chrono::milliseconds kTurn{200}, kSwarm{5};
constexpr std::size_t kServicesInOneTurn = 256;

// A first SYN without an answer is given up when the answer is well overdue. (The connections after
// it go elsewhere sooner.)
constexpr std::chrono::milliseconds kShortestSyn{200}, kLongestSyn{1000};

std::chrono::milliseconds syn_timeout(std::chrono::microseconds rtt) {
  return std::clamp(std::chrono::ceil<std::chrono::milliseconds>(2 * rtt), kShortestSyn,
                    kLongestSyn);
}

}  // namespace

ConnectRoutes::ConnectRoutes(EventLoop& loop, ConnectRedirect& redirect, Relay& relay,
                             Chooser& chooser, Names& names)
    : loop_(loop),
      redirect_(redirect),
      chooser_(chooser),
      names_(names),
      stand_ins_(loop, redirect, relay) {}

ConnectRoutes::~ConnectRoutes() {
  loop_.remove(redirect_.failure_descriptor());
  loop_.remove(redirect_.change_descriptor());
  loop_.cancel(timer_);
  loop_.cancel(again_);
}

Result<void> ConnectRoutes::begin() {
  TRY(loop_.add(redirect_.failure_descriptor(), EPOLLIN, *this));
  TRY(loop_.add(redirect_.change_descriptor(), EPOLLIN, *this));
  turn();
  return {};
}

void ConnectRoutes::on_ready(std::uint32_t) {
  redirect_.acknowledge();
  stand_ins_.take();
  hear_reports();
  // Changes come in swarms, of which the first says little: one comparison for all.
  if (redirect_.refresh() && again_.second == 0) {
    again_ = loop_.after(kSwarm, [this] {
      again_ = {};
      redirect_.refresh();
      compare();
    });
  }
}

void ConnectRoutes::turn() {
  hear_reports();
  redirect_.refresh();
  compare();
  timer_ = loop_.after(kTurn, [this] { turn(); });
}

void ConnectRoutes::compare() {
  auto open = names_.tcp_services();
  // The names that are gone, and then the next ones after those compared last.
  for (auto one = led_.begin(); one != led_.end();) {
    const Place place = one->first;
    ++one;
    if (!open.contains(place)) lead(place, {});
  }
  auto next = open.upper_bound(compared_);
  for (std::size_t i = 0; i < std::min(open.size(), kServicesInOneTurn); ++i, ++next) {
    if (next == open.end()) next = open.begin();
    const Place& place = next->first;
    if (const auto used = redirect_.used_at(place.first, place.second))
      names_.note_use(place.first, *used);
    Ways ways;
    for (const auto& peer : chooser_.proven(next->second)) {
      if (ways.size() == ConnectRedirect::kMostWays) break;
      if (redirect_.can_lead_to(peer.address))
        ways.push_back({peer.address, syn_timeout(peer.rtt), peer.overdue, peer.late});
    }
    lead(place, std::move(ways));
    compared_ = place;
  }
}

void ConnectRoutes::lead(const Place& place, Ways ways) {
  const auto led = led_.find(place);
  const bool same = led == led_.end() ? ways.empty() : led->second == ways;
  if (same) return;
  // What the kernel knew of a peer before is old news.
  for (const auto& way : ways)
    reports_.try_emplace(way.peer,
                         redirect_.report_of(way.peer).value_or(ConnectRedirect::Report{}));
  if (const auto done = redirect_.lead(place.first, place.second, ways); !done) {
    log::warning("kernel_redirect.failed", {{"cause", done.error().message()}});
    return;
  }
  if (ways.empty()) {
    led_.erase(place);
  } else {
    led_[place] = std::move(ways);
  }
}

void ConnectRoutes::hear_reports() {
  std::set<SocketAddress> peers;
  for (const auto& [place, ways] : led_) {
    for (const auto& way : ways) peers.insert(way.peer);
  }
  std::erase_if(reports_, [&](const auto& one) { return !peers.contains(one.first); });
  for (const SocketAddress& peer : peers) {
    const auto now = redirect_.report_of(peer);
    if (!now) continue;
    const auto before = std::exchange(reports_[peer], *now);
    if (now->ends != before.ends) {
      chooser_.made_connections(now->ends - before.ends);
      chooser_.measured_rtt(peer, now->rtt);
      chooser_.succeeded(peer);
    }
    if (now->transfers != before.transfers)
      chooser_.measured_transfer(peer, now->octets_per_second, now->octets);
    if (now->suspicions != before.suspicions) chooser_.overdue(peer);
    if (now->late_answers != before.late_answers) chooser_.measured_rtt(peer, now->late_rtt);
    if (now->failures != before.failures)
      chooser_.failed(peer, "refused or did not answer a connection");
  }
}

}  // namespace mutua::resolver
