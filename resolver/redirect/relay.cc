#include "resolver/redirect/relay.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <map>
#include <thread>
#include <unordered_map>

#include "base/log.h"

namespace mutua::resolver {

struct Relay::Listener {
  SocketAddress local;
  enum class Kind {
    address,
    gate,         // connections name their target by their own address
    handed_gate,  // by what Relay::Meant says of their two ends
  };
  Kind kind = Kind::address;
  Target target;
  std::atomic<SteadyTime::rep> used_at{0};
  std::atomic<std::size_t> connections{0};
  std::size_t udp_thread = 0;
};

namespace {

constexpr int kBacklog = 1024;
constexpr int kAcceptedInOneTurn = 64, kFullTurns = 8;
constexpr std::chrono::milliseconds kPause{100};
// Clients are on this machine, a few microseconds away; with larger queues to them the relay was
// measured to carry less.
constexpr int kClientQueue = 256 * 1024;

// Held by the threads that accept from it, and by nothing that outlives close().
using ListeningSocket = std::shared_ptr<const UniqueFd>;

void note_use(Relay::Listener& listener, SteadyTime now) {
  listener.used_at.store(now.time_since_epoch().count(), std::memory_order_relaxed);
}

// Of the connection to a client, on this machine.
void set_client_options(int socket) {
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &kClientQueue, sizeof kClientQueue);
}

// Which listener a gate's connection is for. Thread-safe.
class Places {
 public:
  void add(const Relay::Handle& listener) {
    const std::lock_guard lock(mutex_);
    listeners_[listener->local] = listener;
  }
  void remove(const Relay::Handle& listener) {
    const std::lock_guard lock(mutex_);
    const auto found = listeners_.find(listener->local);
    if (found != listeners_.end() && found->second == listener) listeners_.erase(found);
  }
  Relay::Handle find(const SocketAddress& local) const {
    const std::lock_guard lock(mutex_);
    const auto found = listeners_.find(local);
    return found == listeners_.end() ? nullptr : found->second;
  }

  Relay::Meant meant;  // set before connections come

 private:
  mutable std::mutex mutex_;  // guards the rest
  std::map<SocketAddress, Relay::Handle> listeners_;
};

std::optional<SocketAddress> end_of(int connection, decltype(getsockname)* which) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (which(connection, address, &size) != 0) return std::nullopt;
  return SocketAddress::from_sockaddr(address, size);
}

// One thread of the relay and all that lives on it.
class RelayThread {
 public:
  RelayThread(std::unique_ptr<EventLoop> loop, const RelaySettings& settings, PeerChooser& chooser,
              const Places& places, std::atomic<std::size_t>& connection_count)
      : loop_(std::move(loop)),
        settings_(settings),
        chooser_(chooser),
        places_(places),
        connection_count_(connection_count),
        budget_(settings.held_octets / settings.threads),
        context_{*loop_, budget_, chooser_, settings_.tcp,
                 [this](const std::shared_ptr<TcpConnection>& connection) { forget(connection); }} {
  }

  void start() {
    thread_ = std::thread([this] { loop_->run(); });
  }

  void stop() {
    loop_->post([this] {
      for (auto& [listener, acceptor] : acceptors_) loop_->remove(acceptor->socket->get());
      for (auto& [listener, udp] : udp_) udp->close();
      while (!connections_.empty()) connections_.begin()->first->abort();
      loop_->stop();
    });
    thread_.join();
  }

  EventLoop& loop() { return *loop_; }

  // The following run on the loop's thread.

  void add_tcp(const Relay::Handle& listener, ListeningSocket socket) {
    auto acceptor = std::make_shared<Acceptor>(*this, listener, std::move(socket));
    // Exclusive: one waiting thread is woken for a connection, not all.
    if (const auto added = loop_->add(acceptor->socket->get(), EPOLLIN | EPOLLEXCLUSIVE, *acceptor);
        !added) {
      log::error("relay.listen_failed",
                 {{"address", listener->local.to_text()}, {"cause", added.error().message()}});
      return;
    }
    acceptors_.emplace(listener, std::move(acceptor));
  }

  void add_udp(const Relay::Handle& listener, UniqueFd socket) {
    auto udp = std::make_shared<UdpListener>(*loop_, chooser_, settings_.udp, udp_sessions_,
                                             std::move(socket), listener->target);
    if (const auto begun = udp->begin(); !begun) {
      log::error("relay.listen_failed",
                 {{"address", listener->local.to_text()}, {"cause", begun.error().message()}});
      return;
    }
    udp_.emplace(listener, std::move(udp));
  }

  void remove(const Relay::Handle& listener) {
    if (auto acceptor = acceptors_.extract(listener); !acceptor.empty()) {
      loop_->remove(acceptor.mapped()->socket->get());
      loop_->dispose(std::move(acceptor.mapped()));
    }
    if (auto udp = udp_.extract(listener); !udp.empty()) {
      udp.mapped()->close();
      loop_->dispose(std::move(udp.mapped()));
    }
  }

  void adopt(UniqueFd client, const SocketAddress& synthetic, const SocketAddress& peer) {
    set_client_options(client.get());
    take(std::move(client), {places_.find(synthetic), peer});
  }

  // When a UDP listener was last used, written where the owner of the relay can read it.
  void publish_udp_use() {
    for (auto& [listener, udp] : udp_) {
      listener->connections = udp->session_count();
      note_use(*listener, udp->used_at());
    }
  }

 private:
  struct Acceptor final : EventLoop::Handler {
    Acceptor(RelayThread& owner, Relay::Handle accepting, ListeningSocket from)
        : thread(owner), listener(std::move(accepting)), socket(std::move(from)) {}
    void on_ready(std::uint32_t) override { thread.accept_from(*this); }
    RelayThread& thread;
    const Relay::Handle listener;
    const ListeningSocket socket;
    int expected = 1;    // connections that wait when it becomes readable, as it was lately
    int full_turns = 0;  // in a row, in which so many were there
  };

  struct Destination {
    Relay::Handle listener;  // null: nobody's
    std::optional<SocketAddress> not_answering;
  };

  Destination destination_of(const Relay::Handle& accepting, int client) const {
    using Kind = Relay::Listener::Kind;
    if (accepting->kind == Kind::address) return {accepting, std::nullopt};
    const auto local = end_of(client, getsockname);
    if (!local) return {};
    if (accepting->kind == Kind::gate) return {places_.find(*local), std::nullopt};
    const auto remote = end_of(client, getpeername);
    const auto meant = remote ? places_.meant(*remote, *local) : std::nullopt;
    return {meant ? places_.find(*meant) : nullptr, local};
  }

  // Not until nobody waits any more: where they come one by one, every second call would be for
  // nothing. Who is left out makes the socket readable again at once, so that more are expected only
  // when that has gone on for a while.
  void accept_from(Acceptor& acceptor) {
    for (int i = 0; i < acceptor.expected; ++i) {
      UniqueFd client(
          accept4(acceptor.socket->get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!client) {
        if (errno == EMFILE || errno == ENFILE) pause(acceptor);
        acceptor.expected = std::max(1, i);
        acceptor.full_turns = 0;
        return;
      }
      const Destination destination = destination_of(acceptor.listener, client.get());
      take(std::move(client), destination);
    }
    if (++acceptor.full_turns < kFullTurns) return;
    acceptor.expected = std::min(2 * acceptor.expected, kAcceptedInOneTurn);
    acceptor.full_turns = 0;
  }

  void take(UniqueFd client, const Destination& destination) {
    const Relay::Handle& listener = destination.listener;
    const bool is_one_too_many = connection_count_.fetch_add(1) >= settings_.connections;
    if (listener == nullptr || is_one_too_many) {
      connection_count_.fetch_sub(1);
      const linger at_once{1, 0};
      setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
      return;
    }
    note_use(*listener, loop_->now());
    ++listener->connections;
    const auto connection = std::make_shared<TcpConnection>(
        context_, std::move(client), listener->target, destination.not_answering);
    connections_.emplace(connection, listener);
    connection->begin();
  }

  // No descriptor is left: the backlog stays readable, so the loop would spin.
  void pause(const Acceptor& acceptor) {
    loop_->remove(acceptor.socket->get());
    loop_->after(kPause, [this, listener = acceptor.listener] {
      const auto again = acceptors_.find(listener);
      if (again == acceptors_.end()) return;
      const auto& one = again->second;
      if (!loop_->add(one->socket->get(), EPOLLIN | EPOLLEXCLUSIVE, *one)) pause(*one);
    });
  }

  void forget(const std::shared_ptr<TcpConnection>& connection) {
    const auto ended = connections_.extract(connection);
    if (ended.empty()) return;
    --ended.mapped()->connections;
    note_use(*ended.mapped(), loop_->now());
    connection_count_.fetch_sub(1);
  }

  const std::unique_ptr<EventLoop> loop_;
  const RelaySettings& settings_;
  PeerChooser& chooser_;
  const Places& places_;
  std::atomic<std::size_t>& connection_count_;
  OctetBudget budget_;
  std::size_t udp_sessions_ = 0;
  TcpConnection::Context context_;
  std::unordered_map<std::shared_ptr<TcpConnection>, Relay::Handle> connections_;
  std::map<Relay::Handle, std::shared_ptr<Acceptor>> acceptors_;
  std::map<Relay::Handle, std::shared_ptr<UdpListener>> udp_;
  std::thread thread_;
};

// What is accepted may have another machine's address for its own, and reaches this machine's
// programs only, whatever the routes say.
Result<void> speak_for_others(int socket, const SocketAddress& local) {
  const int on = 1;
  const bool ipv6 = local.family() == AF_INET6;
  if (setsockopt(socket, ipv6 ? SOL_IPV6 : SOL_IP, ipv6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, &on,
                 sizeof on) != 0 ||
      setsockopt(socket, SOL_SOCKET, SO_BINDTODEVICE, "lo", sizeof "lo") != 0)
    return errno_error(errno, "answer in the place of peers");
  return {};
}

class ThreadedRelay final : public Relay {
 public:
  explicit ThreadedRelay(const RelaySettings& settings) : settings_(settings) {}
  ~ThreadedRelay() override { stop(); }

  Result<void> start(PeerChooser& chooser) {
    for (unsigned i = 0; i < settings_.threads; ++i) {
      auto loop = TRY(EventLoop::create());
      threads_.push_back(std::make_unique<RelayThread>(std::move(loop), settings_, chooser, places_,
                                                       connection_count_));
    }
    for (auto& thread : threads_) thread->start();
    running_ = true;
    return {};
  }

  Result<Gates> open_gates(Meant meant) override {
    places_.meant = std::move(meant);
    std::array<int, 4> descriptors{};
    for (std::size_t i = 0; i < descriptors.size(); ++i) {
      auto gate = std::make_shared<Listener>();
      gate->local = SocketAddress::parse(i % 2 == 0 ? "127.0.0.1:0" : "[::1]:0").value();
      gate->target.port.transport = Transport::tcp;
      gate->kind = i < 2 ? Listener::Kind::gate : Listener::Kind::handed_gate;
      TRY(listen_at(gate));
      descriptors[i] = listening_.at(gate)->get();
    }
    has_gates_ = true;
    return Gates{descriptors[0], descriptors[1], descriptors[2], descriptors[3]};
  }

  Result<Handle> open(const SocketAddress& local, const Target& target) override {
    auto listener = std::make_shared<Listener>();
    listener->local = local;
    listener->target = target;
    note_use(*listener, std::chrono::steady_clock::now());
    if (has_gates_ && target.port.transport == Transport::tcp) {
      places_.add(listener);
    } else {
      TRY(listen_at(listener));
    }
    return listener;
  }

  void close(const Handle& listener) override {
    places_.remove(listener);
    // From here on nobody is queued, and the port may be bound again, though the threads let go of
    // the descriptor a little later.
    if (const auto socket = listening_.extract(listener); !socket.empty()) {
      shutdown(socket.mapped()->get(), SHUT_RDWR);
    }
    for (auto& thread : threads_) {
      thread->loop().post([&thread = *thread, listener] { thread.remove(listener); });
    }
  }

  void adopt(UniqueFd client, const SocketAddress& synthetic, const SocketAddress& peer) override {
    RelayThread& thread = *threads_[next_adopting_thread_++ % threads_.size()];
    thread.loop().post(
        [&thread, synthetic, peer, client = std::make_shared<UniqueFd>(std::move(client))] {
          thread.adopt(std::move(*client), synthetic, peer);
        });
  }

  Use use_of(const Handle& listener) const override {
    if (listener->target.port.transport == Transport::udp) {
      // Told for the next time; the owner asks now and then.
      RelayThread& thread = *threads_[listener->udp_thread];
      thread.loop().post([&thread] { thread.publish_udp_use(); });
    }
    return {SteadyTime(SteadyTime::duration(listener->used_at.load(std::memory_order_relaxed))),
            listener->connections.load()};
  }

  std::size_t connection_count() const override { return connection_count_.load(); }

  void stop() override {
    if (!std::exchange(running_, false)) return;
    for (auto& thread : threads_) thread->stop();
  }

 private:
  static void set_tcp_options(int listener) {
    const int on = 1;
    // Connections of an earlier run of this daemon may linger in TIME-WAIT.
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    set_client_options(listener);  // which accept() hands on
  }

  // Binds, and lets the threads take what comes.
  Result<void> listen_at(const Handle& listener) {
    const SocketAddress& local = listener->local;
    const bool tcp = listener->target.port.transport == Transport::tcp;
    UniqueFd socket(::socket(local.family(),
                             (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const std::string what = "listen on " + local.to_text() + "/" + (tcp ? "tcp" : "udp");
    if (!socket) return errno_error(errno, what);
    if (tcp) set_tcp_options(socket.get());
    // IPv6 does not take a local route for leave to bind.
    if (local.family() == AF_INET6) {
      const int on = 1;
      setsockopt(socket.get(), SOL_IPV6, IPV6_FREEBIND, &on, sizeof on);
    }
    if (listener->kind == Listener::Kind::handed_gate) TRY(speak_for_others(socket.get(), local));
    if (bind(socket.get(), local.data(), local.size()) != 0) return errno_error(errno, what);
    if (tcp && listen(socket.get(), kBacklog) != 0) return errno_error(errno, what);
    if (tcp) {
      const auto shared = std::make_shared<const UniqueFd>(std::move(socket));
      listening_[listener] = shared;
      for (auto& thread : threads_) {
        thread->loop().post(
            [&thread = *thread, listener, shared] { thread.add_tcp(listener, shared); });
      }
    } else {
      listener->udp_thread = next_udp_thread_++ % threads_.size();
      RelayThread& thread = *threads_[listener->udp_thread];
      thread.loop().post(
          [&thread, listener, shared = std::make_shared<UniqueFd>(std::move(socket))] {
            thread.add_udp(listener, std::move(*shared));
          });
    }
    return {};
  }

  const RelaySettings settings_;
  std::atomic<std::size_t> connection_count_{0};
  Places places_;
  bool has_gates_ = false;
  std::vector<std::unique_ptr<RelayThread>> threads_;
  std::map<Handle, ListeningSocket> listening_;  // TCP
  std::size_t next_udp_thread_ = 0, next_adopting_thread_ = 0;
  bool running_ = false;
};

}  // namespace

Result<std::unique_ptr<Relay>> Relay::create(const RelaySettings& settings, PeerChooser& chooser) {
  BASE_ASSERT(settings.threads > 0);
  auto relay = std::make_unique<ThreadedRelay>(settings);
  TRY(relay->start(chooser));
  return std::unique_ptr<Relay>(std::move(relay));
}

}  // namespace mutua::resolver
