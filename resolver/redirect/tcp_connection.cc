#include "resolver/redirect/tcp_connection.h"

#include <linux/tcp.h>  // glibc's tcp_info lacks tcpi_bytes_acked
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "resolver/redirect/replay_safety.h"

namespace mutua::resolver {
namespace {

constexpr std::uint32_t kAllEdges = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;
constexpr std::size_t kReadSize = 16 * 1024;
// A connection that has not lasted longer says no more of the RTT than its handshake did.
constexpr std::chrono::milliseconds kBrief(100);

void set_option(int fd, int level, int option, int value) {
  setsockopt(fd, level, option, &value, sizeof value);
}

// close() then sends a reset instead of the end of the stream.
void close_with_reset(Stream& stream) {
  const linger at_once{1, 0};
  if (!stream.hung_up) setsockopt(stream.fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  stream.fd.reset();
}

std::optional<tcp_info> info_of(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  return info;
}

}  // namespace

TcpConnection::TcpConnection(Context& context, UniqueFd client, Target target,
                             std::optional<SocketAddress> not_answering)
    : context_(context),
      target_(std::move(target)),
      begun_(context.loop.now()),
      client_(std::make_shared<End>(this)),
      not_answering_(std::move(not_answering)),
      upload_(context.budget),
      download_(context.budget) {
  client_->stream.fd = std::move(client);
  client_->stream.writable = true;
  client_->stream.no_delay = true;  // inherited from the socket that listens
}

TcpConnection::~TcpConnection() { BASE_ASSERT(stage_ == Stage::ended); }

void TcpConnection::End::on_ready(std::uint32_t events) {
  if (owner == nullptr) return;
  stream.note(events);
  // Whatever advance() does, the connection lives until it returns.
  const auto alive = owner->shared_from_this();
  alive->advance();
}

void TcpConnection::begin() {
  if (!context_.loop.add(client_->stream.fd.get(), kAllEdges, *client_)) return end(true, true);
  if (auto order = context_.chooser.choose_cached(target_)) {
    take_list(std::move(order));
  } else {
    wait_for_list(false);
  }
}

void TcpConnection::advance() {
  switch (stage_) {
    case Stage::choosing:
    case Stage::ended:
      return;
    case Stage::connecting:
      if (peer_->stream.writable) connected();
      return;
    case Stage::proving:
      return prove();
    case Stage::relaying:
      return relay();
  }
}

// ---- choosing -----------------------------------------------------------------------------------

void TcpConnection::wait_for_list(bool pause) {
  stage_ = Stage::choosing;
  auto weak = weak_from_this();
  auto ask = [weak, &context = context_] {
    const auto self = weak.lock();
    if (!self || self->stage_ != Stage::choosing) return;
    context.chooser.choose_fresh(self->target_,
                                 [weak, &context](std::optional<PeerChooser::Order> order) {
                                   context.loop.post([weak, order = std::move(order)]() mutable {
                                     const auto waiting = weak.lock();
                                     if (waiting && waiting->stage_ == Stage::choosing)
                                       waiting->take_list(std::move(order));
                                   });
                                 });
  };
  if (!pause) return ask();
  timer_ = context_.loop.after(context_.limits.list_pause * (1 << (lists_ - 1)), std::move(ask));
}

void TcpConnection::take_list(std::optional<PeerChooser::Order> order) {
  ++lists_;
  // Where the authority cannot say, the list at hand is gone through once more.
  if (order) order_ = std::move(*order);
  std::erase_if(order_, [&](const SocketAddress& peer) { return spent_.contains(peer); });
  if (const auto last = std::exchange(not_answering_, std::nullopt)) {
    std::stable_partition(order_.begin(), order_.end(),
                          [&](const SocketAddress& peer) { return peer != *last; });
  }
  next_ = 0;
  try_next();
}

void TcpConnection::try_next() {
  retire_peer(true);
  if (context_.loop.now() - begun_ < context_.limits.give_up) {
    while (next_ < order_.size()) {
      const SocketAddress& candidate = order_[next_++];
      if (spent_.contains(candidate)) continue;
      if (connect_to(candidate)) return;
    }
    const bool more_may_come = lists_ < context_.limits.lists && !(lists_ > 1 && order_.empty());
    if (more_may_come) return wait_for_list(true);
  }
  give_up();
}

void TcpConnection::give_up() {
  log::warning("relay.nobody_answered", {{"host", target_.host},
                                         {"port", to_text(target_.port)},
                                         {"lists", lists_},
                                         {"last", last_failure_}});
  end(!closed_in_good_order_, true);
}

// ---- connecting ---------------------------------------------------------------------------------

// True when the attempt is under way, or has already taken the connection further.
bool TcpConnection::connect_to(const SocketAddress& candidate) {
  const SocketAddress* next = next_ < order_.size() ? &order_[next_] : nullptr;
  const auto overdue = context_.chooser.attempted(candidate, next);
  const auto refused = [&](int problem) {
    last_failure_ = candidate.to_text() + ": " + std::strerror(problem);
    context_.chooser.failed(candidate, std::strerror(problem));
    return false;
  };
  peer_ = std::make_shared<End>(this);
  UniqueFd& fd = peer_->stream.fd;
  fd.reset(socket(candidate.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!fd) return refused(errno);
  const bool at_once = connect(fd.get(), candidate.data(), candidate.size()) == 0;
  if (!at_once && errno != EINPROGRESS) return refused(errno);
  if (const auto added = context_.loop.add(fd.get(), kAllEdges, *peer_); !added)
    return refused(ENOMEM);
  stage_ = Stage::connecting;
  if (at_once) {
    connected();
    return true;
  }
  wait_for_peer(overdue);
  return true;
}

// First others are told to avoid the peer, then this one gives it up.
void TcpConnection::wait_for_peer(std::chrono::milliseconds overdue) {
  const auto stall = context_.limits.connect_stall * (1 << std::min(lists_ - 1, 4u));
  const auto first = std::min(overdue, stall);
  timer_ = context_.loop.after(first, [weak = weak_from_this(), rest = stall - first] {
    const auto self = weak.lock();
    if (!self || self->stage_ != Stage::connecting) return;
    self->context_.chooser.overdue(self->peer());
    self->timer_ = self->context_.loop.after(rest, [weak] {
      const auto connection = weak.lock();
      if (connection && connection->stage_ == Stage::connecting)
        connection->peer_failed("no answer to connect in time", false);
    });
  });
}

void TcpConnection::connected() {
  const int fd = peer_->stream.fd.get();
  int problem = 0;
  if (peer_->stream.extraordinary) {
    socklen_t size = sizeof problem;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size);
  }
  context_.loop.cancel(timer_);
  if (problem != 0) return peer_failed(std::strerror(problem), false);
  const auto info = info_of(fd);
  const std::chrono::microseconds rtt(info ? info->tcpi_rtt : 0);
  if (info) context_.chooser.measured_rtt(peer(), rtt);
  meter_.emplace(rtt);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  peer_->stream.writable = true;
  kept_sent_ = 0;
  end_passed_on_ = false;
  stage_ = Stage::proving;
  prove();
}

// ---- proving ------------------------------------------------------------------------------------

void TcpConnection::prove() {
  for (;;) {
    if (peer_->stream.readable) {
      look_at_answer();
      if (stage_ != Stage::proving) return;
    }
    const Sent sent = send_kept();
    if (sent == Sent::failed || stage_ != Stage::proving) return;
    if (sent == Sent::blocked || !client_->stream.readable || client_ended_) return;
    if (kept_.size() >= context_.limits.kept_octets) return start_relaying();
    read_client();
    if (stage_ != Stage::proving) return;
  }
}

TcpConnection::Sent TcpConnection::send_kept() {
  if (kept_sent_ < kept_.size()) watch_peer();
  while (kept_sent_ < kept_.size()) {
    const auto sent = peer_->stream.write(BytesView(kept_).subspan(kept_sent_));
    if (sent < 0 && errno == EAGAIN) {
      peer_->stream.writable = false;
      return Sent::blocked;
    }
    if (sent < 0) {
      peer_failed(std::strerror(errno), false);
      return Sent::failed;
    }
    kept_sent_ += static_cast<std::size_t>(sent);
  }
  if (client_ended_ && !end_passed_on_) {
    end_passed_on_ = true;
    shutdown(peer_->stream.fd.get(), SHUT_WR);
  }
  return Sent::all;
}

void TcpConnection::watch_peer() {
  said_at_ = context_.loop.now();
  if (timer_.second != 0) return;
  timer_ = context_.loop.after(context_.limits.unacknowledged, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self && self->stage_ == Stage::proving) self->check_peer();
  });
}

// Looks from time to time at a peer that was told something and has not answered. TCP_USER_TIMEOUT
// would do half of it, at two more system calls for each connection.
void TcpConnection::check_peer() {
  timer_ = {};
  const SteadyTime said_at = said_at_;
  const auto info = info_of(peer_->stream.fd.get());
  const auto& limits = context_.limits;
  if (info && info->tcpi_unacked > 0 && info->tcpi_last_ack_recv >= limits.unacknowledged.count()) {
    return peer_failed("does not acknowledge", false);
  }
  if (context_.loop.now() - said_at >= limits.first_octet &&
      replay_safety(kept_) == ReplaySafety::safe) {
    return peer_failed("no answer to the request in time", false);
  }
  watch_peer();
  said_at_ = said_at;
}

void TcpConnection::read_client() {
  std::array<std::uint8_t, kReadSize> octets;
  const auto room = std::min(octets.size(), context_.limits.kept_octets - kept_.size());
  const auto received = recv(client_->stream.fd.get(), octets.data(), room, 0);
  if (received > 0) {
    append(kept_, BytesView(octets.data(), static_cast<std::size_t>(received)));
    client_->stream.note_read(static_cast<std::size_t>(received), room);
  } else if (received == 0) {
    client_ended_ = true;
  } else if (errno == EAGAIN) {
    client_->stream.readable = false;
  } else {
    end(true, true);  // the client reset its connection
  }
}

void TcpConnection::look_at_answer() {
  // Readable, and nothing extraordinary: there are octets.
  std::uint8_t octet = 0;
  const auto received =
      peer_->stream.extraordinary ? recv(peer_->stream.fd.get(), &octet, 1, MSG_PEEK) : 1;
  if (received > 0) {
    context_.chooser.succeeded(peer());
    return start_relaying();
  }
  if (received < 0 && errno == EAGAIN) {
    peer_->stream.readable = false;
  } else if (received < 0) {
    peer_failed(std::strerror(errno), false);
  } else if (end_passed_on_) {
    start_relaying();
  } else {
    peer_failed("closed before its first octet", true);
  }
}

// Called while connecting or proving. Replaces the peer, unless that could make a request act
// twice.
void TcpConnection::peer_failed(const std::string& reason, bool in_good_order) {
  context_.loop.cancel(timer_);
  context_.chooser.failed(peer(), reason);
  last_failure_ = peer().to_text() + ": " + reason;
  closed_in_good_order_ = in_good_order;
  if (stage_ == Stage::proving && kept_sent_ > 0) {
    spent_.insert(peer());
    if (replay_safety(kept_) == ReplaySafety::unsafe && peer_acknowledged_octets()) {
      log::warning("relay.not_repeated",
                   {{"host", target_.host}, {"peer", peer().to_text()}, {"reason", reason}});
      return end(!in_good_order, true);
    }
  }
  try_next();
}

bool TcpConnection::peer_acknowledged_octets() const {
  const auto info = info_of(peer_->stream.fd.get());
  // tcpi_bytes_acked counts the SYN as one.
  return !info || info->tcpi_bytes_acked > 1;
}

// ---- relaying -----------------------------------------------------------------------------------

void TcpConnection::start_relaying() {
  context_.loop.cancel(timer_);
  upload_.set_prefix(std::exchange(kept_, Bytes()), kept_sent_);
  order_ = {peer()};
  next_ = 1;
  spent_.clear();
  stage_ = Stage::relaying;
  relay();
}

void TcpConnection::relay() {
  const auto down = download_.advance(peer_->stream, client_->stream, upload_.is_finished());
  if (const auto received = download_.take_received()) {
    meter_->received(received, std::chrono::steady_clock::now());
  }
  if (down == TcpFlow::Progress::broken) return end(true, true);
  const auto up = upload_.advance(client_->stream, peer_->stream, download_.is_finished());
  if (up == TcpFlow::Progress::broken) return end(true, true);
  if (down == TcpFlow::Progress::finished && up == TcpFlow::Progress::finished)
    return end(false, false);
  if (down == TcpFlow::Progress::yielded || up == TcpFlow::Progress::yielded) {
    context_.loop.post([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->advance();
    });
  }
}

// ---- the end ------------------------------------------------------------------------------------

void TcpConnection::retire_peer(bool reset) {
  if (!peer_) return;
  peer_->owner = nullptr;
  if (peer_->stream.fd) {
    if (reset) close_with_reset(peer_->stream);
    peer_->stream.fd.reset();  // epoll forgets a closed descriptor
  }
  context_.loop.dispose(std::exchange(peer_, nullptr));
}

void TcpConnection::end(bool reset_client, bool reset_peer) {
  if (stage_ == Stage::ended) return;
  if (stage_ == Stage::relaying) {
    if (const auto rate = meter_->best())
      context_.chooser.measured_transfer(peer(), *rate, meter_->total());
    const bool brief = context_.loop.now() - begun_ < kBrief;
    const auto info = brief ? std::nullopt : info_of(peer_->stream.fd.get());
    if (info && info->tcpi_rtt > 0) {
      context_.chooser.measured_rtt(peer(), std::chrono::microseconds(info->tcpi_rtt));
    }
  }
  stage_ = Stage::ended;
  context_.loop.cancel(timer_);
  retire_peer(reset_peer);
  if (reset_client) close_with_reset(client_->stream);
  client_->stream.fd.reset();
  client_->owner = nullptr;
  context_.loop.dispose(client_);
  context_.loop.dispose(shared_from_this());
  context_.ended(shared_from_this());
}

void TcpConnection::abort() { end(true, true); }

}  // namespace mutua::resolver
