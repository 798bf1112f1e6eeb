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
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>

#include "authority/server/tcp_connection.h"
#include "base/log.h"

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
  EpollTcpServer(std::vector<UniqueFd> listeners, TcpLimits limits, Catalog& catalog, Taker update,
                 Taker forward, TransferTaker transfer)
      : listeners_(std::move(listeners)),
        limits_(limits),
        catalog_(catalog),
        update_(std::move(update)),
        forward_(std::move(forward)),
        transfer_(std::move(transfer)) {}

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
    Catalog::Reader reader(catalog_);
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
    if (same_source != by_source_.end() &&
        same_source->second >= limits_.connections_of_one_source())
      return;  // closes the socket
    if (connections_.size() >= limits_.connections && !make_room()) return;
    const int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const std::uint64_t id = next_id_++;
    const int fd = socket.get();
    auto& connection = connections_.try_emplace(id, std::move(socket), peer, id).first->second;
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
    const ssize_t count = ::recv(connection.fd(), read_buffer_.data(), read_buffer_.size(), 0);
    if (count > 0)
      connection.received({read_buffer_.data(), static_cast<std::size_t>(count)});
    else if (count == 0)
      connection.peer_finished();
    else if (errno != EAGAIN && errno != EINTR)
      connection.break_off();
  }

  // Answers what came and sends what is ready, until neither goes any further; of a transfer a share,
  // so that a fast secondary does not keep the others waiting.
  void serve(TcpConnection& connection) {
    for (unsigned turn = 0; turn < kTurnsOfOne && !connection.is_finished(); ++turn) {
      const bool streamed = connection.continue_stream();
      const bool answered = answer_requests(connection) || streamed;
      const bool drained = send(connection);
      if (answered || drained) note_progress(connection);
      // An output that drained may have made room for requests that wait.
      if ((!answered && !drained) || !connection.unsent().empty()) break;
    }
    if (connection.is_finished()) return close(connection);
    const std::uint32_t events =
        (connection.wants_input() ? EPOLLIN : 0u) | (connection.wants_output() ? EPOLLOUT : 0u);
    if (events == connection.watched_events) return;
    connection.watched_events = events;
    if (!watch(EPOLL_CTL_MOD, connection.fd(), events, connection.id())) close(connection);
  }

  bool answer_requests(TcpConnection& connection) {
    const auto hand_over = [&](Answered::Kind kind, BytesView message) {
      if (kind == Answered::Kind::transfer) {
        if (transfer_) connection.begin_stream(transfer_(message, connection.peer()));
        return static_cast<bool>(transfer_);
      }
      const Taker& taker = kind == Answered::Kind::update ? update_ : forward_;
      const auto reply = [mailbox = mailbox_, id = connection.id()](Bytes response) {
        mailbox->put(id, std::move(response));
      };
      return taker({to_bytes(message), connection.peer(), Transport::tcp, reply});
    };
    const auto version = reader_->pin();
    return connection.answer_requests(*version, forward_ ? Recursion::offered : Recursion::refused,
                                      hand_over, scratch_);
  }

  // True where this took the last octet.
  bool send(TcpConnection& connection) {
    const BytesView unsent = connection.unsent();
    if (unsent.empty()) return false;
    const ssize_t count = ::send(connection.fd(), unsent.data(), unsent.size(), MSG_NOSIGNAL);
    if (count >= 0)
      connection.sent(static_cast<std::size_t>(count));
    else if (errno != EAGAIN && errno != EINTR)
      connection.break_off();
    return connection.unsent().empty();
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
    connections_.erase(connection.id());  // closes the socket, which leaves the epoll set by that
  }

  void close_overdue() {
    const SteadyTime now = steady_clock::now();
    while (!by_progress_.empty()) {
      TcpConnection& oldest = connections_.at(by_progress_.front());
      if (oldest.last_progress + limits_.idle > now) return;
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
  Catalog& catalog_;
  const Taker update_, forward_;
  const TransferTaker transfer_;
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
                                                     TcpLimits limits, Catalog& catalog,
                                                     Taker update, Taker forward,
                                                     TransferTaker transfer) {
  auto server =
      std::make_unique<EpollTcpServer>(std::move(listeners), limits, catalog, std::move(update),
                                       std::move(forward), std::move(transfer));
  TRY(server->open());
  return std::unique_ptr<TcpServer>(std::move(server));
}

}  // namespace mutua::authority
