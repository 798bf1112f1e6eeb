#include "resolver/service/prober.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace mutua::resolver {
namespace {

constexpr std::chrono::milliseconds kTurn{1000}, kPatience{900};
constexpr std::uint64_t kConnectionsForOneProbe = 8;
constexpr std::size_t kMostPeers = 1024;  // looked at in one turn
constexpr std::size_t kMostProbes = 16;   // in one turn

}  // namespace

// One connection, which carries nothing.
class Prober::Probe final : public EventLoop::Handler, public std::enable_shared_from_this<Probe> {
 public:
  Probe(EventLoop& loop, Chooser& chooser, SocketAddress peer)
      : loop_(loop), chooser_(chooser), peer_(peer) {}

  void begin() {
    socket_.reset(socket(peer_.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket_) return;  // this machine's trouble, not the peer's
    const linger at_once{1, 0};
    setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    if (connect(socket_.get(), peer_.data(), peer_.size()) != 0 && errno != EINPROGRESS)
      return fail(errno);
    if (!loop_.add(socket_.get(), EPOLLOUT, *this)) return end();
    timer_ = loop_.after(kPatience, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->fail(ETIMEDOUT);
    });
  }

  void on_ready(std::uint32_t) override {
    if (!socket_) return;
    int problem = 0;
    socklen_t size = sizeof problem;
    getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &problem, &size);
    if (problem != 0) return fail(problem);
    tcp_info info{};
    size = sizeof info;
    if (getsockopt(socket_.get(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && info.tcpi_rtt > 0)
      chooser_.probed(peer_, std::chrono::microseconds(info.tcpi_rtt));
    end();
  }

  void end() {
    loop_.cancel(timer_);
    socket_.reset();
  }

 private:
  void fail(int problem) {
    chooser_.failed(peer_, std::string("a probe: ") + std::strerror(problem));
    end();
  }

  EventLoop& loop_;
  Chooser& chooser_;
  const SocketAddress peer_;
  UniqueFd socket_;
  EventLoop::TimerKey timer_{};
};

Prober::Prober(EventLoop& loop, Chooser& chooser, const Names& names)
    : loop_(loop), chooser_(chooser), names_(names) {}

Prober::~Prober() {
  loop_.cancel(timer_);
  for (const auto& probe : probes_) probe->end();
}

void Prober::wait() {
  timer_ = loop_.after(kTurn, [this] { turn(); });
}

void Prober::turn() {
  for (auto& probe : std::exchange(probes_, {})) {
    probe->end();
    loop_.dispose(std::move(probe));
  }
  for (const SocketAddress& peer : whom_to_probe()) {
    if (probes_.size() == kMostProbes) break;
    probes_.push_back(std::make_shared<Probe>(loop_, chooser_, peer));
    probes_.back()->begin();
  }
  wait();
}

std::vector<SocketAddress> Prober::whom_to_probe() {
  std::vector<SocketAddress> peers;
  for (const auto& [place, target] : names_.tcp_services()) {
    for (const SocketAddress& peer : chooser_.known(target)) peers.push_back(peer);
    if (peers.size() >= kMostPeers) break;
  }
  if (auto doubted = chooser_.doubted_of(peers); !doubted.empty()) return doubted;
  const std::uint64_t connections = chooser_.connections();
  if (connections - connections_at_last_probe_ < kConnectionsForOneProbe) return {};
  connections_at_last_probe_ = connections;
  const auto stalest = chooser_.stalest_of(peers);
  return stalest ? std::vector{*stalest} : std::vector<SocketAddress>();
}

}  // namespace mutua::resolver
