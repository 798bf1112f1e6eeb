#include "resolver/redirect/tcp_flow.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <optional>

namespace mutua::resolver {
namespace {

constexpr int kTurns = 16;  // buffers moved before others get a turn
constexpr std::size_t kSparing = 16 * 1024;

// One for each thread, empty between two calls: it is large enough for few system calls, and small
// enough for a processor's own cache.
thread_local std::array<std::uint8_t, 256 * 1024> buffer;

// Sends until all has gone or `to` takes no more; how many have gone, or nothing where it failed.
std::optional<std::size_t> send_some(Stream& to, BytesView octets) {
  std::size_t gone = 0;
  while (gone < octets.size()) {
    const auto sent = to.write(octets.subspan(gone));
    if (sent < 0 && errno == EAGAIN) {
      to.writable = false;
      break;
    }
    if (sent < 0) return std::nullopt;
    gone += static_cast<std::size_t>(sent);
  }
  return gone;
}

}  // namespace

void Stream::note(std::uint32_t events) {
  if ((events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) readable = true;
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) writable = true;
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)) != 0) extraordinary = true;
  if ((events & EPOLLHUP) != 0) hung_up = true;
}

ssize_t Stream::write(BytesView octets) {
  if (written && !no_delay) {
    const int on = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    no_delay = true;
  }
  written = true;
  return send(fd.get(), octets.data(), octets.size(), MSG_NOSIGNAL);
}

TcpFlow::~TcpFlow() { budget_.give_back(held_.size()); }

void TcpFlow::hold(Bytes octets) {
  budget_.give_back(held_.size());
  held_ = std::move(octets);
  held_sent_ = 0;
  budget_.take(held_.size());
}

void TcpFlow::set_prefix(Bytes prefix, std::size_t sent) {
  hold(std::move(prefix));
  held_sent_ = sent;
}

TcpFlow::Step TcpFlow::send_held(Stream& to) {
  if (held_.empty()) return Step::done;
  if (!to.writable) return Step::blocked;
  const auto gone = send_some(to, BytesView(held_).subspan(held_sent_));
  if (!gone) return Step::failed;
  held_sent_ += *gone;
  if (held_sent_ < held_.size()) return Step::blocked;
  hold(Bytes());
  return Step::done;
}

// Nothing is held here.
TcpFlow::Step TcpFlow::pass_on(Stream& from, Stream& to) {
  if (!from.readable) return Step::blocked;
  const std::size_t room = budget_.is_spent() ? kSparing : buffer.size();
  const auto received = recv(from.fd.get(), buffer.data(), room, 0);
  if (received < 0 && errno == EAGAIN) {
    from.readable = false;
    return Step::blocked;
  }
  if (received < 0) return Step::failed;
  if (received == 0) {
    ended_ = true;
    return Step::done;
  }
  const BytesView octets(buffer.data(), static_cast<std::size_t>(received));
  received_ += octets.size();
  from.note_read(octets.size(), room);
  const auto gone = send_some(to, octets);
  if (!gone) return Step::failed;
  if (*gone == octets.size()) return Step::done;
  hold(to_bytes(octets.subspan(*gone)));
  return Step::blocked;
}

TcpFlow::Progress TcpFlow::advance(Stream& from, Stream& to, bool is_last) {
  if (finished_) return Progress::finished;
  for (int turn = 0; turn < kTurns; ++turn) {
    Step step = send_held(to);
    if (step == Step::done && ended_) {
      finished_ = true;
      // ENOTCONN: the reader is gone, and its own direction tells.
      if (!is_last) shutdown(to.fd.get(), SHUT_WR);
      return Progress::finished;
    }
    if (step == Step::done) step = pass_on(from, to);
    if (step == Step::failed) return Progress::broken;
    if (step == Step::blocked) return Progress::waiting;
  }
  return Progress::yielded;
}

}  // namespace mutua::resolver
