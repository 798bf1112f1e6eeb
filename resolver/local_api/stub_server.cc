#include "resolver/local_api/stub_server.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "resolver/local_api/stub_answers.h"

namespace mutua::resolver {
namespace {

constexpr std::size_t kMostUnderWay = 1000;
constexpr std::size_t kMostClients = 128, kMostQuestionsOfClient = 32;
constexpr std::size_t kMostUnsent = 256 * 1024;
constexpr std::chrono::milliseconds kIdle{10'000};
constexpr int kDatagramsInOneTurn = 64;

}  // namespace

// ---- UDP ----------------------------------------------------------------------------------------

class StubServer::UdpSocket final : public EventLoop::Handler {
 public:
  UdpSocket(StubServer& server, UniqueFd socket)
      : server_(server), socket_(std::make_shared<UniqueFd>(std::move(socket))) {}

  Result<void> begin() { return server_.loop_.add(socket_->get(), EPOLLIN, *this); }

  void on_ready(std::uint32_t) override {
    static thread_local std::array<std::uint8_t, wire::kLargestMessage> buffer;
    for (int i = 0; i < kDatagramsInOneTurn; ++i) {
      sockaddr_storage from{};
      socklen_t size = sizeof from;
      const auto received = recvfrom(socket_->get(), buffer.data(), buffer.size(), 0,
                                     reinterpret_cast<sockaddr*>(&from), &size);
      if (received < 0) return;
      server_.handle(BytesView(buffer.data(), static_cast<std::size_t>(received)), true,
                     [socket = socket_, from, size](Bytes response) {
                       sendto(socket->get(), response.data(), response.size(),
                              MSG_NOSIGNAL | MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&from),
                              size);
                     });
    }
  }

 private:
  StubServer& server_;
  const std::shared_ptr<UniqueFd> socket_;  // shared with replies under way
};

// ---- TCP ----------------------------------------------------------------------------------------

class StubServer::TcpClient final : public EventLoop::Handler,
                                    public std::enable_shared_from_this<TcpClient> {
 public:
  TcpClient(StubServer& server, UniqueFd socket) : server_(server), socket_(std::move(socket)) {}

  void begin() {
    if (!server_.loop_.add(socket_.get(), watched_, *this)) return close();
    restart_idle_timer();
  }

  void close() {
    closed_ = true;
    server_.loop_.cancel(idle_timer_);
    socket_.reset();
    server_.forget(*this);
  }

  void on_ready(std::uint32_t events) override {
    const auto alive = shared_from_this();
    if (!closed_ && (events & EPOLLOUT) != 0) flush();
    if (!closed_ && (events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) read();
  }

 private:
  void read() {
    std::array<std::uint8_t, 4096> octets;
    const auto received = recv(socket_.get(), octets.data(), octets.size(), 0);
    if (received < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (received <= 0) return close();
    restart_idle_timer();
    append(unread_, BytesView(octets.data(), static_cast<std::size_t>(received)));
    take_messages();
  }

  // Each message stands behind its length (RFC 1035 section 4.2.2).
  void take_messages() {
    std::size_t at = 0;
    while (!closed_ && under_way_ < kMostQuestionsOfClient && unread_.size() - at >= 2) {
      const std::size_t length = load_u16(unread_.data() + at);
      if (unread_.size() - at - 2 < length) break;
      const Bytes message(unread_.begin() + static_cast<std::ptrdiff_t>(at + 2),
                          unread_.begin() + static_cast<std::ptrdiff_t>(at + 2 + length));
      at += 2 + length;
      ++under_way_;
      const bool taken = server_.handle(message, false, [weak = weak_from_this()](Bytes response) {
        const auto self = weak.lock();
        if (self && !self->closed_) self->say(response);
      });
      if (!taken) --under_way_;
    }
    unread_.erase(unread_.begin(), unread_.begin() + static_cast<std::ptrdiff_t>(at));
    watch();
  }

  void say(const Bytes& response) {
    --under_way_;
    append_u16(unsent_, static_cast<std::uint16_t>(response.size()));
    append(unsent_, response);
    if (unsent_.size() > kMostUnsent) return close();
    flush();
    // What waited for a place is taken next, but not from inside take_messages().
    server_.loop_.post([weak = weak_from_this()] {
      const auto self = weak.lock();
      if (self && !self->closed_) self->take_messages();
    });
  }

  void flush() {
    const auto sent =
        send(socket_.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN) return close();
    if (sent > 0) unsent_.erase(unsent_.begin(), unsent_.begin() + sent);
    watch();
  }

  // No reading beyond what may be asked at once, nor while the client does not read.
  void watch() {
    if (closed_) return;
    const bool may_read = under_way_ < kMostQuestionsOfClient && unsent_.empty();
    const std::uint32_t wanted =
        (may_read ? std::uint32_t{EPOLLIN} : 0) | (unsent_.empty() ? 0 : std::uint32_t{EPOLLOUT});
    if (wanted != watched_) server_.loop_.change(socket_.get(), watched_ = wanted, *this);
  }

  void restart_idle_timer() {
    server_.loop_.cancel(idle_timer_);
    idle_timer_ = server_.loop_.after(kIdle, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->close();
    });
  }

  StubServer& server_;
  UniqueFd socket_;
  Bytes unread_, unsent_;
  std::size_t under_way_ = 0;
  std::uint32_t watched_ = EPOLLIN;
  bool closed_ = false;
  EventLoop::TimerKey idle_timer_{};
};

class StubServer::TcpSocket final : public EventLoop::Handler {
 public:
  TcpSocket(StubServer& server, UniqueFd socket) : server_(server), socket_(std::move(socket)) {}

  Result<void> begin() { return server_.loop_.add(socket_.get(), EPOLLIN, *this); }

  void on_ready(std::uint32_t) override {
    UniqueFd socket(accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket || server_.clients_.size() >= kMostClients) return;  // closed at once
    const auto client = std::make_shared<TcpClient>(server_, std::move(socket));
    server_.clients_.emplace(client.get(), client);
    client->begin();
  }

 private:
  StubServer& server_;
  const UniqueFd socket_;
};

// ---- the server ---------------------------------------------------------------------------------

Result<std::unique_ptr<StubServer>> StubServer::create(const std::vector<SocketAddress>& addresses,
                                                       EventLoop& loop, Sources sources) {
  auto server = std::unique_ptr<StubServer>(new StubServer(loop, std::move(sources)));
  for (const SocketAddress& address : addresses) TRY(server->listen(address));
  return server;
}

StubServer::StubServer(EventLoop& loop, Sources sources)
    : loop_(loop), sources_(std::move(sources)), self_(std::make_shared<StubServer*>(this)) {}

StubServer::~StubServer() {
  while (!clients_.empty()) std::shared_ptr(clients_.begin()->second)->close();
}

Result<void> StubServer::listen(const SocketAddress& address) {
  const std::string what = "listen on " + address.to_text();
  UniqueFd udp(socket(address.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!udp || bind(udp.get(), address.data(), address.size()) != 0)
    return errno_error(errno, what + "/udp");
  UniqueFd tcp(socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (tcp) setsockopt(tcp.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (!tcp || bind(tcp.get(), address.data(), address.size()) != 0 ||
      ::listen(tcp.get(), 64) != 0) {
    return errno_error(errno, what + "/tcp");
  }
  udp_.push_back(std::make_unique<UdpSocket>(*this, std::move(udp)));
  TRY(udp_.back()->begin());
  tcp_.push_back(std::make_unique<TcpSocket>(*this, std::move(tcp)));
  return tcp_.back()->begin();
}

void StubServer::forget(TcpClient& client) {
  auto ended = clients_.extract(&client);
  if (!ended.empty()) loop_.dispose(std::move(ended.mapped()));
}

bool StubServer::handle(BytesView message, bool over_udp, Reply reply) {
  StubRequest request = read_stub_request(message);
  if (request.kind == StubRequest::Kind::drop || under_way_ >= kMostUnderWay) return false;
  ++under_way_;
  // Counts down, cuts what is too long, and outlives the server.
  Reply finish = [self = std::weak_ptr(self_), reply = std::move(reply), over_udp,
                  query = request.message](Bytes response) {
    const auto server = self.lock();
    if (!server) return;
    --(*server)->under_way_;
    reply(over_udp ? truncated(query, response) : std::move(response));
  };
  const bool synthetic = request.kind == StubRequest::Kind::reverse &&
                         sources_.names.is_synthetic(request.reverse_address.with_port(0));
  if (request.kind == StubRequest::Kind::error) {
    finish(answer_error(request.message, request.rcode));
  } else if (synthetic) {
    finish(answer_reverse(request.message,
                          sources_.names.name_of(request.reverse_address.with_port(0))));
  } else if (request.kind == StubRequest::Kind::address) {
    lookup_or_pass_on(to_bytes(message), std::move(request.message), std::move(finish));
  } else {
    pass_on(to_bytes(message), std::move(request.message), std::move(finish));
  }
  return true;
}

void StubServer::lookup_or_pass_on(Bytes message, wire::Message query, Reply reply) {
  const wire::Name name = query.question[0].name;
  sources_.names.lookup(
      name, [this, self = std::weak_ptr(self_), message = std::move(message),
             query = std::move(query), reply = std::move(reply)](LookupAnswer answer) mutable {
        if (self.expired()) return;
        if (answer.status == LookupAnswer::Status::found) return reply(answer_held(query, answer));
        const bool in_zone = query.question[0].name.is_at_or_below(sources_.zone);
        if (answer.status == LookupAnswer::Status::unavailable && in_zone) {
          return reply(answer_error(query, wire::Rcode::servfail));
        }
        pass_on(std::move(message), std::move(query), std::move(reply));
      });
}

void StubServer::pass_on(Bytes message, wire::Message query, Reply reply) {
  const bool in_zone = query.question[0].name.is_at_or_below(sources_.zone);
  const Ask ask = in_zone ? sources_.authority : sources_.real_dns;
  const Reply on_loop = [&loop = loop_, reply = std::move(reply)](Bytes octets) {
    loop.post([reply, octets = std::move(octets)]() mutable { reply(std::move(octets)); });
  };
  const auto as_it_is = [ask, query, on_loop](Bytes question) {
    ask(std::move(question), [query, on_loop](Result<Bytes> response) {
      on_loop(response ? std::move(*response) : answer_error(query, wire::Rcode::servfail));
    });
  };
  if (!in_zone || !sources_.proven) return as_it_is(std::move(message));
  sources_.proven(query.question[0],
                  [query, on_loop, as_it_is, message = std::move(message)](ZoneAnswer answer) {
                    // Who checks by himself may have other trust anchors (RFC 4035 section 3.2.2).
                    const bool may_be_unproven =
                        std::holds_alternative<Flaw>(answer) && query.header.checking_disabled;
                    if (may_be_unproven) return as_it_is(message);
                    on_loop(answer_proven(query, answer));
                  });
}

}  // namespace mutua::resolver
