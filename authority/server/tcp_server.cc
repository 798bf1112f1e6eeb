#include "authority/server/tcp_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <ctime>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>

#include "authority/server/tcp_connection.h"
#include "base/log.h"
#include "base/thread_scheduling.h"

namespace mutua::authority {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kReadSize = 64 * 1024;  // octets in one read
constexpr unsigned kAcceptsInOneTurn = 64;
constexpr unsigned kEventsInOneTurn = 128;
constexpr unsigned kTurnsOfOne = 8;  // of at most TcpConnection::kMostUnsent octets each
// Event keys: listeners come first, connections count up from here, the mailbox stands apart.
constexpr std::uint64_t kFirstConnection = 1 << 16;
constexpr std::uint64_t kMailbox = kFirstConnection - 1;

// Late replies on their way to the loop, from whatever thread; outlives the server as long as
// somebody owes one. Bounded by what the connections may owe.
class Mailbox {
 public:
  struct Letter {
    std::uint64_t connection;
    Bytes response;
  };

  Mailbox() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  bool is_open() const { return static_cast<bool>(event_); }
  int fd() const { return event_.get(); }

  void put(std::uint64_t connection, Bytes response) {
    {
      const std::lock_guard lock(mutex_);
      letters_.push_back({connection, std::move(response)});
    }
    wake();
  }

  void wake() {
    const std::uint64_t one = 1;
    // A full counter has woken the loop already.
    [[maybe_unused]] const ssize_t written = ::write(event_.get(), &one, sizeof one);
  }

  std::vector<Letter> take() {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t taken = ::read(event_.get(), &count, sizeof count);
    const std::lock_guard lock(mutex_);
    return std::exchange(letters_, {});
  }

 private:
  UniqueFd event_;
  std::mutex mutex_;
  std::vector<Letter> letters_;
};

class EpollTcpServer final : public TcpServer {
 public:
  EpollTcpServer(std::vector<UniqueFd> listeners, TcpLimits limits, const AnsweringContext& context,
                 std::shared_ptr<CurrentTlsContext> tls)
      : listeners_(std::move(listeners)),
        limits_(limits),
        context_(context),
        tls_(std::move(tls)),
        tap_(context.add_tap_ring()) {}

  ~EpollTcpServer() override { stop(); }

  Result<void> open() {
    epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll_) return errno_error(errno, "epoll_create1");
    if (!mailbox_->is_open()) return Error("eventfd for the TCP server: failed");
    TRY(watch(EPOLL_CTL_ADD, mailbox_->fd(), EPOLLIN, kMailbox));
    for (std::size_t i = 0; i < listeners_.size(); ++i)
      TRY(watch(EPOLL_CTL_ADD, listeners_[i].get(), EPOLLIN, i));
    return {};
  }

  void start() override {
    thread_ = std::thread([this] { run(); });
  }

  void stop() override {
    if (!thread_.joinable()) return;
    stopping_.store(true);
    mailbox_->wake();
    thread_.join();
  }

  const AnswerCounters& answer_counters() const override { return answered_; }
  const ConnectionCounters& connection_counters() const override { return connected_; }

 private:
  using Connections = std::unordered_map<std::uint64_t, TcpConnection>;

  Result<void> watch(int operation, int fd, std::uint32_t events, std::uint64_t key) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = key;
    if (::epoll_ctl(epoll_.get(), operation, fd, &event) == 0) return {};
    return errno_error(errno, "epoll_ctl");
  }

  void run() {
    ask_for_short_slices();
    Catalog::Reader reader(context_.catalog);
    reader_ = &reader;
    std::array<epoll_event, kEventsInOneTurn> events;
    while (!stopping_.load()) {
      const int count =
          ::epoll_wait(epoll_.get(), events.data(), kEventsInOneTurn, wait_milliseconds());
      for (int i = 0; i < count; ++i) handle(events[static_cast<std::size_t>(i)]);
      close_overdue();
    }
    deliver_mail();
    connections_.clear();
    reader_ = nullptr;
  }

  void handle(const epoll_event& event) {
    const std::uint64_t key = event.data.u64;
    if (key == kMailbox) return deliver_mail();
    if (key < kFirstConnection) return accept_from(listeners_[key].get());
    const auto at = connections_.find(key);
    if (at == connections_.end()) return;  // closed earlier in this turn
    TcpConnection& connection = at->second;
    if ((event.events & (EPOLLERR | EPOLLHUP)) != 0)
      connection.break_off();
    else if ((event.events & EPOLLIN) != 0 && connection.wants_input())
      read(connection);
    else if (connection.tls() && connection.tls()->wants_to_write())
      read(connection);  // the handshake waited for room
    serve(connection);
  }

  void accept_from(int listener) {
    for (unsigned i = 0; i < kAcceptsInOneTurn; ++i) {
      sockaddr_storage storage{};
      socklen_t length = sizeof storage;
      UniqueFd socket(::accept4(listener, reinterpret_cast<sockaddr*>(&storage), &length,
                                SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!socket) {
        const bool out_of_descriptors = errno == EMFILE || errno == ENFILE;
        if (out_of_descriptors && make_room()) continue;
        return;  // none left, or one that gave up before it was accepted
      }
      add(std::move(socket),
          SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&storage), length));
    }
  }

  static SocketAddress source_of(SocketAddress peer) {
    peer.set_port(0);
    return peer;
  }

  void add(UniqueFd socket, const SocketAddress& peer) {
    const auto same_source = by_source_.find(source_of(peer));
    const bool has_share = same_source == by_source_.end() ||
                           same_source->second < limits_.connections_of_one_source();
    const bool has_room = has_share && (connections_.size() < limits_.connections || make_room());
    std::unique_ptr<TlsStream> tls;
    if (has_room && tls_) tls = TlsStream::accept(*tls_->get(), socket.get());
    if (!has_room || (tls_ && !tls)) return connected_.refused.add(1);  // closes the socket
    connected_.accepted.add(1);
    connected_.open.add(1);
    const int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const std::uint64_t id = next_id_++;
    const int fd = socket.get();
    auto& connection =
        connections_.try_emplace(id, std::move(socket), std::move(tls), peer, id).first->second;
    ++by_source_[source_of(peer)];
    connection.watched_events = EPOLLIN;
    connection.last_progress = steady_clock::now();
    connection.place_by_progress = by_progress_.insert(by_progress_.end(), id);
    if (!watch(EPOLL_CTL_ADD, fd, EPOLLIN, id)) close(connection);
  }

  // Closes the connection that has been idle longest; false where none is idle.
  bool make_room() {
    for (const std::uint64_t id : by_progress_) {
      TcpConnection& connection = connections_.at(id);
      if (!connection.is_idle()) continue;
      close(connection);
      return true;
    }
    return false;
  }

  void read(TcpConnection& connection) {
    if (TlsStream* const tls = connection.tls()) return read_tls(*tls, connection);
    const ssize_t count = ::recv(connection.fd(), read_buffer_.data(), read_buffer_.size(), 0);
    if (count > 0)
      connection.received({read_buffer_.data(), static_cast<std::size_t>(count)});
    else if (count == 0)
      connection.peer_finished();
    else if (errno != EAGAIN && errno != EINTR)
      connection.break_off();
  }

  // A record at a time; those that came with it are already here, and epoll knows nothing of them.
  void read_tls(TlsStream& tls, TcpConnection& connection) {
    for (std::size_t total = 0; total < kReadSize;) {
      const auto moved = tls.read(read_buffer_);
      if (moved.state == TlsStream::State::finished) connection.peer_finished();
      if (moved.state == TlsStream::State::broken) connection.break_off();
      if (moved.state != TlsStream::State::moved) return;
      connection.received({read_buffer_.data(), moved.octets});
      total += moved.octets;
    }
  }

  // Answers what came and sends what is ready, until neither goes any further; of a transfer a
  // share, so that a fast secondary does not keep the others waiting.
  void serve(TcpConnection& connection) {
    for (unsigned turn = 0; turn < kTurnsOfOne && !connection.is_finished(); ++turn) {
      const bool streamed = connection.continue_stream();
      const bool answered = answer_requests(connection) || streamed;
      const bool drained = send(connection);
      const bool read_more = has_pending(connection);
      if (read_more) read_tls(*connection.tls(), connection);
      if (answered || drained) note_progress(connection);
      // An output that drained may have made room for requests that wait.
      if ((!answered && !drained && !read_more) || !connection.unsent().empty()) break;
    }
    if (connection.is_finished()) return close(connection);
    const std::uint32_t events =
        (connection.wants_input() ? EPOLLIN : 0u) | (wants_output(connection) ? EPOLLOUT : 0u);
    if (events == connection.watched_events) return;
    connection.watched_events = events;
    if (!watch(EPOLL_CTL_MOD, connection.fd(), events, connection.id())) close(connection);
  }

  static bool has_pending(TcpConnection& connection) {
    return connection.tls() && connection.wants_input() && connection.tls()->has_pending();
  }

  // Also where its share of this turn is used up: epoll says at once that there is room.
  static bool wants_output(TcpConnection& connection) {
    const bool waits_for_turn =
        connection.wants_input() && (connection.has_request() || has_pending(connection));
    return connection.wants_output() || waits_for_turn ||
           (connection.tls() && connection.tls()->wants_to_write());
  }

  bool answer_requests(TcpConnection& connection) {
    const auto hand_over = [&](Answered::Kind kind, BytesView message) {
      if (kind == Answered::Kind::transfer) {
        if (!context_.transfer) return false;
        connection.begin_stream(
            context_.transfer(message, connection.peer(), connection.transport()));
        return true;
      }
      const Taker& taker = kind == Answered::Kind::update ? context_.update : context_.forward;
      const auto reply = [mailbox = mailbox_, id = connection.id()](Bytes response) {
        mailbox->put(id, std::move(response));
      };
      return taker({to_bytes(message), connection.peer(), connection.transport(), reply});
    };
    const auto version = reader_->pin();
    return connection.answer_requests({context_, *version, hand_over, scratch_, answered_,
                                       static_cast<std::uint32_t>(::time(nullptr)), tap_,
                                       tap_ ? tap_time() : 0});
  }

  // True where this took the last octet.
  bool send(TcpConnection& connection) {
    const BytesView unsent = connection.unsent();
    if (unsent.empty()) return false;
    if (TlsStream* const tls = connection.tls()) return send_tls(*tls, connection);
    const ssize_t count = ::send(connection.fd(), unsent.data(), unsent.size(), MSG_NOSIGNAL);
    if (count >= 0)
      connection.sent(static_cast<std::size_t>(count));
    else if (errno != EAGAIN && errno != EINTR)
      connection.break_off();
    return connection.unsent().empty();
  }

  bool send_tls(TlsStream& tls, TcpConnection& connection) {
    while (!connection.unsent().empty()) {
      const auto moved = tls.write(connection.unsent());
      if (moved.state == TlsStream::State::moved) {
        connection.sent(moved.octets);
        continue;
      }
      if (moved.state != TlsStream::State::blocked) connection.break_off();
      return false;
    }
    return true;
  }

  void deliver_mail() {
    std::vector<std::uint64_t> touched;
    for (Mailbox::Letter& letter : mailbox_->take()) {
      const auto at = connections_.find(letter.connection);
      if (at == connections_.end()) continue;  // closed meanwhile
      at->second.replied(letter.response);
      if (touched.empty() || touched.back() != letter.connection)
        touched.push_back(letter.connection);
    }
    for (const std::uint64_t id : touched) {
      const auto at = connections_.find(id);
      if (at != connections_.end()) serve(at->second);
    }
  }

  void note_progress(TcpConnection& connection) {
    connection.last_progress = steady_clock::now();
    by_progress_.splice(by_progress_.end(), by_progress_, connection.place_by_progress);
  }

  void close(TcpConnection& connection) {
    const auto source = by_source_.find(source_of(connection.peer()));
    if (--source->second == 0) by_source_.erase(source);
    by_progress_.erase(connection.place_by_progress);
    connected_.open.add(std::uint64_t(0) - 1);
    connections_.erase(connection.id());  // closes the socket, which leaves the epoll set by that
  }

  void close_overdue() {
    const SteadyTime now = steady_clock::now();
    while (!by_progress_.empty()) {
      TcpConnection& oldest = connections_.at(by_progress_.front());
      if (oldest.last_progress + limits_.idle > now) return;
      connected_.timed_out.add(1);
      close(oldest);
    }
  }

  int wait_milliseconds() const {
    if (by_progress_.empty()) return -1;
    const SteadyTime due = connections_.at(by_progress_.front()).last_progress + limits_.idle;
    const auto left = std::chrono::duration_cast<milliseconds>(due - steady_clock::now()).count();
    return static_cast<int>(std::clamp<decltype(left)>(left + 1, 0, 60'000));
  }

  const std::vector<UniqueFd> listeners_;
  const TcpLimits limits_;
  const AnsweringContext& context_;
  const std::shared_ptr<CurrentTlsContext> tls_;  // null: plain connections
  TapRing* const tap_;                            // or nullptr
  AnswerCounters answered_;
  ConnectionCounters connected_;
  const std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>();
  UniqueFd epoll_;
  std::atomic<bool> stopping_{false};

  // The loop's own.
  Catalog::Reader* reader_ = nullptr;
  Connections connections_;
  std::list<std::uint64_t> by_progress_;            // the longest without progress first
  std::map<SocketAddress, std::size_t> by_source_;  // by address, port 0
  std::uint64_t next_id_ = kFirstConnection;
  std::array<std::uint8_t, kReadSize> read_buffer_;
  TcpConnection::Scratch scratch_;

  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<TcpServer>> TcpServer::create(std::vector<UniqueFd> listeners,
                                                     TcpLimits limits,
                                                     const AnsweringContext& context,
                                                     std::shared_ptr<CurrentTlsContext> tls) {
  auto server =
      std::make_unique<EpollTcpServer>(std::move(listeners), limits, context, std::move(tls));
  TRY(server->open());
  return std::unique_ptr<TcpServer>(std::move(server));
}

}  // namespace mutua::authority
