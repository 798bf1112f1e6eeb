#include "resolver/redirect/tcp_flow.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>

namespace mutua::resolver {
namespace {

constexpr int kTurns = 8;  // pipes moved before others get a turn
constexpr std::size_t kWithoutPipe = 16 * 1024;

}  // namespace

TcpFlow::~TcpFlow() {
  if (pipe_) pipes_.give_back(std::move(pipe_), PipePool::Content::octets);
}

void TcpFlow::set_prefix(Bytes prefix, std::size_t sent) {
  prefix_ = std::move(prefix);
  prefix_sent_ = sent;
}

TcpFlow::Step TcpFlow::send_prefix(Stream& to) {
  while (prefix_sent_ < prefix_.size()) {
    const auto sent = send(to.fd.get(), prefix_.data() + prefix_sent_,
                           prefix_.size() - prefix_sent_, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) {
      to.writable = false;
      return Step::blocked;
    }
    if (sent < 0) return Step::failed;
    prefix_sent_ += static_cast<std::size_t>(sent);
  }
  prefix_ = Bytes();
  prefix_sent_ = 0;
  return Step::done;
}

TcpFlow::Step TcpFlow::drain(Stream& to) {
  while (in_pipe_ > 0) {
    const auto moved = splice(pipe_.read_end.get(), nullptr, to.fd.get(), nullptr, in_pipe_,
                              SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (moved < 0 && errno == EAGAIN) {
      to.writable = false;
      return Step::blocked;
    }
    if (moved <= 0) return Step::failed;
    in_pipe_ -= static_cast<std::size_t>(moved);
  }
  if (pipe_) pipes_.give_back(std::exchange(pipe_, Pipe{}), PipePool::Content::empty);
  return Step::done;
}

// The pipe is empty here, so EAGAIN speaks of the socket.
TcpFlow::Step TcpFlow::fill(Stream& from) {
  if (!from.readable) return Step::blocked;
  pipe_ = pipes_.borrow();
  if (!pipe_) return read_without_pipe(from);
  const auto moved = splice(from.fd.get(), nullptr, pipe_.write_end.get(), nullptr,
                            PipePool::kCapacity, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  const int problem = errno;
  if (moved > 0) {
    in_pipe_ = static_cast<std::size_t>(moved);
    received_ += in_pipe_;
    return Step::done;
  }
  pipes_.give_back(std::exchange(pipe_, Pipe{}), PipePool::Content::empty);
  if (moved == 0) {
    ended_ = true;
    return Step::done;
  }
  if (problem != EAGAIN) return Step::failed;
  from.readable = false;
  return Step::blocked;
}

TcpFlow::Step TcpFlow::read_without_pipe(Stream& from) {
  prefix_.resize(kWithoutPipe);
  const auto received = recv(from.fd.get(), prefix_.data(), prefix_.size(), 0);
  const int problem = errno;
  prefix_.resize(received > 0 ? static_cast<std::size_t>(received) : 0);
  received_ += prefix_.size();
  if (received == 0) ended_ = true;
  if (received >= 0) return Step::done;
  if (problem != EAGAIN) return Step::failed;
  from.readable = false;
  return Step::blocked;
}

TcpFlow::Progress TcpFlow::advance(Stream& from, Stream& to) {
  if (finished_) return Progress::finished;
  for (int turn = 0; turn < kTurns; ++turn) {
    if ((!prefix_.empty() || in_pipe_ > 0) && !to.writable) return Progress::waiting;
    Step step = send_prefix(to);
    if (step == Step::done) step = drain(to);
    if (step == Step::failed) return Progress::broken;
    if (step == Step::blocked) return Progress::waiting;
    if (ended_) {
      finished_ = true;
      // ENOTCONN: the reader is gone, and its own direction tells.
      shutdown(to.fd.get(), SHUT_WR);
      return Progress::finished;
    }
    step = fill(from);
    if (step == Step::failed) return Progress::broken;
    if (step == Step::blocked) return Progress::waiting;
  }
  return Progress::yielded;
}

}  // namespace mutua::resolver
