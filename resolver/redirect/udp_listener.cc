#include "resolver/redirect/udp_listener.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/log.h"

namespace mutua::resolver {
namespace {

constexpr int kDatagramsInOneTurn = 64;
constexpr unsigned kLists = 2;  // the cached one, then a fresh one

// One for each thread: a datagram is handled before the next one is read.
thread_local std::array<std::uint8_t, 65536> datagram_buffer;

}  // namespace

class UdpListener::Session final : public EventLoop::Handler,
                                   public std::enable_shared_from_this<UdpListener::Session> {
 public:
  Session(UdpListener& listener, SocketAddress client) : listener_(listener), client_(client) {}

  void begin() {
    idle_timer_ = listener_.loop_.after(listener_.limits_.idle, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->check_idle();
    });
    heard_at_ = std::chrono::steady_clock::now();
    if (auto order = listener_.chooser_.choose_cached(listener_.target_)) {
      take_list(std::move(order));
    } else {
      ask_for_list();
    }
  }

  void say(BytesView datagram) {
    if (kept_.size() < listener_.limits_.kept_datagrams &&
        kept_octets_ + datagram.size() <= listener_.limits_.kept_octets) {
      kept_.push_back(to_bytes(datagram));
      kept_octets_ += datagram.size();
    }
    if (peer_socket_) send_to_peer(datagram);
  }

  void on_ready(std::uint32_t) override {
    const auto alive = shared_from_this();
    for (int i = 0; i < kDatagramsInOneTurn && peer_socket_; ++i) {
      const auto received =
          recv(peer_socket_.get(), datagram_buffer.data(), datagram_buffer.size(), 0);
      if (received >= 0) {
        answered(BytesView(datagram_buffer.data(), static_cast<std::size_t>(received)));
      } else if (errno == EAGAIN || errno == EINTR) {
        return;
      } else {
        return refused(errno);
      }
    }
  }

  void close() {
    closed_ = true;
    listener_.loop_.cancel(silence_timer_);
    listener_.loop_.cancel(idle_timer_);
    peer_socket_.reset();
  }

 private:
  const SocketAddress& peer() const { return order_[next_ - 1]; }

  void ask_for_list() {
    auto& loop = listener_.loop_;
    listener_.chooser_.choose_fresh(
        listener_.target_,
        [weak = weak_from_this(), &loop](std::optional<PeerChooser::Order> order) {
          loop.post([weak, order = std::move(order)]() mutable {
            const auto self = weak.lock();
            if (self && !self->closed_) self->take_list(std::move(order));
          });
        });
  }

  void take_list(std::optional<PeerChooser::Order> order) {
    ++lists_;
    if (order) order_ = std::move(*order);
    next_ = 0;
    try_next();
  }

  void try_next() {
    peer_socket_.reset();
    listener_.loop_.cancel(silence_timer_);
    while (next_ < order_.size()) {
      const SocketAddress& candidate = order_[next_++];
      listener_.chooser_.attempted(candidate, nullptr);
      UniqueFd fd(socket(candidate.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      if (!fd || connect(fd.get(), candidate.data(), candidate.size()) != 0 ||
          !listener_.loop_.add(fd.get(), EPOLLIN, *this)) {
        listener_.chooser_.failed(candidate, std::strerror(errno));
        continue;
      }
      peer_socket_ = std::move(fd);
      proven_ = false;
      for (const Bytes& datagram : kept_) {
        if (peer_socket_) send_to_peer(datagram);
      }
      return;
    }
    if (lists_ < kLists) return ask_for_list();
    log::info("relay.nobody_answered", {{"host", listener_.target_.host},
                                        {"port", to_text(listener_.target_.port)},
                                        {"lists", lists_}});
    listener_.forget(client_);
  }

  void send_to_peer(BytesView datagram) {
    const auto sent = send(peer_socket_.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL);
    // An earlier datagram's refusal may show here, and then on_ready() does not see it again.
    if (sent < 0 && errno != EAGAIN && errno != EMSGSIZE && errno != ENOBUFS) {
      const int problem = errno;
      listener_.loop_.post([weak = weak_from_this(), problem] {
        const auto self = weak.lock();
        if (self && self->peer_socket_) self->refused(problem);
      });
      return;
    }
    sent_at_ = std::chrono::steady_clock::now();
    if (proven_ || silence_timer_.second != 0) return;
    silence_timer_ = listener_.loop_.after(listener_.limits_.silence, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      self->silence_timer_ = {};
      self->silent_.push_back(self->peer());
      self->try_next();
    });
  }

  void refused(int problem) {
    listener_.chooser_.failed(peer(), std::strerror(problem));
    try_next();
  }

  void answered(BytesView datagram) {
    heard_at_ = listener_.loop_.now();
    if (!proven_) {
      proven_ = true;
      listener_.loop_.cancel(silence_timer_);
      const auto rtt = std::chrono::steady_clock::now() - sent_at_;
      listener_.chooser_.measured_rtt(peer(), std::chrono::ceil<std::chrono::microseconds>(rtt));
      listener_.chooser_.succeeded(peer());
      for (const SocketAddress& silent : silent_) {
        listener_.chooser_.failed(silent, "silent while another peer answered");
      }
      silent_.clear();
    }
    kept_.clear();
    kept_octets_ = 0;
    // What the client's socket does not take is lost, as datagrams are.
    sendto(listener_.socket_.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL, client_.data(),
           client_.size());
  }

  void check_idle() {
    idle_timer_ = {};
    const auto left = listener_.limits_.idle - (std::chrono::steady_clock::now() - heard_at_);
    if (left <= std::chrono::milliseconds(0)) return listener_.forget(client_);
    idle_timer_ = listener_.loop_.after(std::chrono::ceil<std::chrono::milliseconds>(left),
                                        [weak = weak_from_this()] {
                                          if (const auto self = weak.lock()) self->check_idle();
                                        });
  }

  UdpListener& listener_;
  const SocketAddress client_;
  UniqueFd peer_socket_;
  PeerChooser::Order order_;
  std::size_t next_ = 0;
  unsigned lists_ = 0;
  bool proven_ = false, closed_ = false;
  std::deque<Bytes> kept_;
  std::size_t kept_octets_ = 0;
  std::vector<SocketAddress> silent_;
  SteadyTime heard_at_{}, sent_at_{};
  EventLoop::TimerKey silence_timer_{}, idle_timer_{};
};

UdpListener::UdpListener(EventLoop& loop, PeerChooser& chooser, const UdpLimits& limits,
                         std::size_t& sessions_of_thread, UniqueFd socket, Target target)
    : loop_(loop),
      chooser_(chooser),
      limits_(limits),
      sessions_of_thread_(sessions_of_thread),
      socket_(std::move(socket)),
      target_(std::move(target)),
      used_at_(loop.now()) {}

UdpListener::~UdpListener() { BASE_ASSERT(sessions_.empty()); }

Result<void> UdpListener::begin() { return loop_.add(socket_.get(), EPOLLIN, *this); }

void UdpListener::close() {
  loop_.remove(socket_.get());
  while (!sessions_.empty()) forget(SocketAddress(sessions_.begin()->first));
}

void UdpListener::forget(const SocketAddress& client) {
  auto session = sessions_.extract(client);
  if (session.empty()) return;
  --sessions_of_thread_;
  session.mapped()->close();
  loop_.dispose(std::move(session.mapped()));
}

void UdpListener::on_ready(std::uint32_t) {
  used_at_ = loop_.now();
  for (int i = 0; i < kDatagramsInOneTurn; ++i) {
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    const auto received = recvfrom(socket_.get(), datagram_buffer.data(), datagram_buffer.size(), 0,
                                   reinterpret_cast<sockaddr*>(&from), &size);
    if (received < 0) return;
    const auto client =
        SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&from), size);
    const BytesView datagram(datagram_buffer.data(), static_cast<std::size_t>(received));
    auto known = sessions_.find(client);
    if (known != sessions_.end()) {
      known->second->say(datagram);
      continue;
    }
    if (sessions_of_thread_ >= limits_.sessions) continue;
    ++sessions_of_thread_;
    const auto session = std::make_shared<Session>(*this, client);
    sessions_.emplace(client, session);
    session->say(datagram);
    session->begin();
  }
}

}  // namespace mutua::resolver
